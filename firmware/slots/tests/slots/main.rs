//! The models on a device, from outside: the rules, and power cuts, faults and kills at every step.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

mod faults;
mod kill;
mod power;
mod rig;
mod rules;
mod walk;
