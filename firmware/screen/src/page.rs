//! One page a file. Each lays itself out for any size of screen and draws over all of it.

mod alarms;
mod live;
mod results;
mod status;
mod trend;

pub use alarms::AlarmPage;
pub use live::LivePage;
pub use results::{ResultRow, ResultsPage};
pub use status::{ClockStatus, StatusPage, StoreStatus};
pub use trend::{Bucket, BucketLength, TrendPage};

#[cfg(test)]
mod tests;
