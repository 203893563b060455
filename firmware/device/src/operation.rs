//! What keeps a device running for years: its clocks, its pulse, and the alarms it raises.

pub mod alarm;
pub mod clock;
pub mod pulse;
pub mod watch;
