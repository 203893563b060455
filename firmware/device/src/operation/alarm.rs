//! What is wrong with the device, since when, and what to do.

use std::collections::BTreeMap;

/// Something wrong; the order is that of severity, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alarm {
    /// The program has ended: no image is judged.
    Stopped,
    /// The audit log is not what was written.
    AuditBroken,
    /// There is no model to answer with.
    NoModel,
    /// Answers cannot be made durable: none is given.
    JournalReadOnly,
    /// As above, for want of room.
    DiskFull,
    /// The journal failed in another way.
    JournalFault,
    /// The model failed on an image, and there is no other.
    ModelFault,
    /// The active model failed; the last good one is back.
    ModelReturned,
    /// A part of the device hangs.
    Hanging,
    /// Little room is left where answers are kept.
    DiskLow,
    /// The device is too hot.
    Hot,
    /// Images of this source do not come in.
    SourceLost(&'static str),
    /// Memory ran out, and the device was started again.
    OutOfMemory,
    /// The clock that dates answers jumped.
    ClockJumped,
    /// The display does not take pages.
    DisplayLost,
}

impl Alarm {
    /// As logs and metrics call it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::AuditBroken => "audit_broken",
            Self::NoModel => "no_model",
            Self::JournalReadOnly => "journal_read_only",
            Self::DiskFull => "disk_full",
            Self::JournalFault => "journal_fault",
            Self::ModelFault => "model_fault",
            Self::ModelReturned => "model_returned",
            Self::Hanging => "hanging",
            Self::DiskLow => "disk_low",
            Self::Hot => "hot",
            Self::SourceLost(_) => "source_lost",
            Self::OutOfMemory => "out_of_memory",
            Self::ClockJumped => "clock_jumped",
            Self::DisplayLost => "display_lost",
        }
    }

    /// Whether answers cannot be made durable while it lasts.
    pub fn holds_the_store(self) -> bool {
        matches!(self, Self::JournalReadOnly | Self::DiskFull | Self::JournalFault)
    }

    /// Whether no answer is given while it lasts.
    pub fn stops_answers(self) -> bool {
        self.holds_the_store() || matches!(self, Self::Stopped | Self::AuditBroken | Self::NoModel)
    }

    /// Whether it tells of something that is over, and so goes by itself after a while.
    pub fn passes(self) -> bool {
        matches!(self, Self::ClockJumped | Self::OutOfMemory)
    }
}

/// An alarm that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// When it came on, in [`up_ms`](super::clock::up_ms).
    pub since_ms: u64,
    /// More, in words, free of patient data.
    pub detail: String,
}

/// All alarms that are on, the worst first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alarms(BTreeMap<Alarm, Raised>);

impl Alarms {
    /// Turns an alarm on; one that is on keeps its time. Whether anything changed.
    pub fn raise(&mut self, alarm: Alarm, now_ms: u64, detail: &str) -> bool {
        let before = self.0.get(&alarm);
        let since_ms = before.map_or(now_ms, |before| before.since_ms);
        let raised = Raised { since_ms, detail: detail.to_owned() };
        let is_new = before != Some(&raised);
        self.0.insert(alarm, raised);
        is_new
    }

    /// Turns an alarm off. Whether it was on.
    pub fn clear(&mut self, alarm: Alarm) -> bool {
        self.0.remove(&alarm).is_some()
    }

    /// The alarms that are on, the worst first.
    pub fn iter(&self) -> impl Iterator<Item = (Alarm, &Raised)> {
        self.0.iter().map(|(&alarm, raised)| (alarm, raised))
    }

    /// Whether none is on.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_keeps_its_time() {
        let mut alarms = Alarms::default();
        assert!(alarms.raise(Alarm::Hot, 5, "90 degrees"));
        assert!(alarms.raise(Alarm::DiskFull, 7, ""));
        assert!(alarms.raise(Alarm::Hot, 9, "91 degrees"));
        assert!(!alarms.raise(Alarm::Hot, 10, "91 degrees"));
        let on: Vec<_> = alarms.iter().map(|(alarm, raised)| (alarm, raised.since_ms)).collect();
        assert_eq!(on, [(Alarm::DiskFull, 7), (Alarm::Hot, 5)]);
        assert!(alarms.clear(Alarm::Hot) && !alarms.clear(Alarm::Hot));
    }
}
