//! What is wrong, how bad it is, and what to do about it.

use crate::{
    language::{Remedy, Texts},
    theme::Theme,
    widget::Symbol,
};
use embedded_graphics::pixelcolor::Rgb888;

/// How bad an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Notice,
    /// The device works on; somebody should look soon.
    Warning,
    /// The device does not do its work, or its work cannot be relied on.
    Critical,
}

/// What is wrong: a code, so that the screen can say it in its reader's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlarmKind<'a> {
    /// A source of images is gone.
    SourceLost {
        /// Which.
        source: &'a str,
    },
    /// A source's line garbles much of what it carries.
    SourceNoisy {
        /// Which.
        source: &'a str,
    },
    /// No room for another answer.
    DiskFull,
    /// The disk takes no writes.
    DiskReadOnly,
    /// The store fails in another way.
    StoreFault,
    /// The audit log's chain is broken.
    AuditBroken,
    /// The model gives no usable answers.
    ModelFault,
    /// The newest model failed, and the one before it answers again.
    ModelRolledBack,
    /// There is no model to answer with.
    NoModel,
    /// Wall clock time moved by more than time passed.
    ClockJumped,
    /// Nobody told the device the time since it started.
    ClockNotSet,
    /// Too hot.
    Overheated,
    /// Memory ran out.
    OutOfMemory,
    /// Images come faster than answers, so some are skipped.
    Overloaded,
    /// A part of the device hangs.
    Hanging,
    /// Little room is left for answers.
    DiskLow,
    /// A display does not show what it is given.
    DisplayLost,
    /// The device's program has ended: nothing is judged.
    Stopped,
    /// Anything else, in words that the caller chose.
    Other {
        /// How bad it is.
        severity: Severity,
        /// What is wrong.
        what: &'a str,
        /// What to do about it.
        to_do: &'a str,
    },
}

/// Something that is wrong now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm<'a> {
    /// What.
    pub kind: AlarmKind<'a>,
    /// Since when, as the reader is to see it; empty if unknown.
    pub since: &'a str,
}

/// All alarms in two facts, for the header of every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmBadge {
    /// The worst of them.
    pub severity: Severity,
    /// How many there are.
    pub n_alarms: u32,
}

impl AlarmBadge {
    /// Sums up `alarms`; `None` when there are none.
    pub fn of(alarms: &[Alarm<'_>]) -> Option<Self> {
        let severity = alarms.iter().map(Alarm::severity).max()?;
        Some(Self { severity, n_alarms: u32::try_from(alarms.len()).unwrap_or(u32::MAX) })
    }
}

impl Alarm<'_> {
    /// How bad this is.
    pub fn severity(&self) -> Severity {
        match self.kind {
            AlarmKind::SourceLost { .. }
            | AlarmKind::DiskFull
            | AlarmKind::DiskReadOnly
            | AlarmKind::StoreFault
            | AlarmKind::AuditBroken
            | AlarmKind::ModelFault
            | AlarmKind::NoModel
            | AlarmKind::OutOfMemory
            | AlarmKind::Hanging
            | AlarmKind::Stopped => Severity::Critical,
            AlarmKind::SourceNoisy { .. }
            | AlarmKind::ModelRolledBack
            | AlarmKind::ClockJumped
            | AlarmKind::ClockNotSet
            | AlarmKind::Overheated
            | AlarmKind::DiskLow
            | AlarmKind::DisplayLost => Severity::Warning,
            AlarmKind::Overloaded => Severity::Notice,
            AlarmKind::Other { severity, .. } => severity,
        }
    }
}

impl AlarmKind<'_> {
    /// In `texts`' language; `None` for words that the caller chose.
    pub(crate) const fn remedy(&self, texts: &Texts) -> Option<Remedy> {
        let alarms = &texts.alarms;
        Some(match self {
            Self::SourceLost { .. } => alarms.source_lost,
            Self::SourceNoisy { .. } => alarms.source_noisy,
            Self::DiskFull => alarms.disk_full,
            Self::DiskReadOnly => alarms.disk_read_only,
            Self::StoreFault => alarms.store_fault,
            Self::AuditBroken => alarms.audit_broken,
            Self::ModelFault => alarms.model_fault,
            Self::ModelRolledBack => alarms.model_rolled_back,
            Self::NoModel => alarms.no_model,
            Self::ClockJumped => alarms.clock_jumped,
            Self::ClockNotSet => alarms.clock_not_set,
            Self::Overheated => alarms.overheated,
            Self::OutOfMemory => alarms.out_of_memory,
            Self::Overloaded => alarms.overloaded,
            Self::Hanging => alarms.hanging,
            Self::DiskLow => alarms.disk_low,
            Self::DisplayLost => alarms.display_lost,
            Self::Stopped => alarms.stopped,
            Self::Other { .. } => return None,
        })
    }
}

impl Severity {
    /// Worst first.
    pub(crate) const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Notice];

    pub(crate) const fn symbol(self) -> Symbol {
        match self {
            Self::Critical => Symbol::Alarm,
            Self::Warning => Symbol::Warning,
            Self::Notice => Symbol::Notice,
        }
    }

    pub(crate) const fn colour(self, theme: &Theme) -> Rgb888 {
        match self {
            Self::Critical => theme.bad,
            Self::Warning => theme.caution,
            Self::Notice => theme.busy,
        }
    }

    pub(crate) const fn word(self, texts: &Texts) -> &'static str {
        match self {
            Self::Critical => texts.severities.critical,
            Self::Warning => texts.severities.warning,
            Self::Notice => texts.severities.notice,
        }
    }
}
