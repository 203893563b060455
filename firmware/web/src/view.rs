//! What the pages show, asked of the device.

use crate::{Counters, Event, ResultDetail, ResultSummary, Status, Trend};

/// The device cannot tell at the moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot show this now: {reason}")]
pub struct Unavailable {
    /// Why, for the log and the reader, free of patient data.
    pub reason: String,
}

/// The device as the pages see it.
///
/// All but [`View::log`] is called on threads of its own, at most two at a time, and may read the store; what takes longer
/// than [`Limits::request_timeout`](crate::Limits::request_timeout) is answered with 503. The pages put names into words; no
/// text may come from a patient's data. Pictures are only shown to who has logged in.
pub trait View: Send + Sync + 'static {
    /// How the device is.
    ///
    /// # Errors
    /// When it cannot be told now.
    fn status(&self) -> Result<Status, Unavailable>;

    /// At most `limit` results with numbers below `before`, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn results(&self, before: Option<u64>, limit: usize) -> Result<Vec<ResultSummary>, Unavailable>;

    /// One result with how it came about; none when there is no such result (any more).
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn result(&self, sequence: u64) -> Result<Option<ResultDetail>, Unavailable>;

    /// The picture that a result is about, as a PNG file.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn picture(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable>;

    /// What spoke for the answer, as a PNG file.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn heat_map(&self, sequence: u64) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Answers over time.
    ///
    /// # Errors
    /// When the store cannot be read now.
    fn trend(&self) -> Result<Trend, Unavailable>;

    /// The device's metrics in Prometheus' text format, or OpenMetrics', which ends in `# EOF`. `web` is what this server
    /// counted, for the device to add.
    ///
    /// # Errors
    /// When they cannot be gathered now.
    fn metrics(&self, web: &Counters) -> Result<String, Unavailable>;

    /// What keeps the device from its work, as logs and metrics call it; none when it works. It is the answer of `/health`, which
    /// everybody may ask.
    fn ailment(&self) -> Option<&'static str>;

    /// Something happened that belongs in the log. Called on the server's thread, so it must not wait.
    fn log(&self, event: &Event);
}
