//! Every word a page can say, once a language: a word missing in one of them does not compile.

mod english;
mod german;

/// The language that a page speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// Every language there is.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// The language's two letters in ISO 639-1.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The language of an ISO 639-1 code, or `None` when no page speaks it.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// What its speakers call it.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
        }
    }

    pub(crate) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &english::TEXTS,
            Self::German => &german::TEXTS,
        }
    }
}

/// A reason in two lengths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    /// For a row of a table.
    pub(crate) short: &'static str,
    /// For somebody who has to do something about it.
    pub(crate) sentence: &'static str,
}

/// An alarm and what to do about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remedy {
    pub(crate) what: &'static str,
    pub(crate) to_do: &'static str,
}

/// One language's words.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) decimal_mark: char,
    pub(crate) titles: Titles,
    pub(crate) links: Links,
    pub(crate) verdicts: Verdicts,
    pub(crate) reasons: Reasons,
    pub(crate) live: Live,
    pub(crate) results: Results,
    pub(crate) trend: Trend,
    pub(crate) status: Status,
    pub(crate) severities: Severities,
    pub(crate) alarms: Alarms,
}

#[derive(Debug)]
pub(crate) struct Titles {
    pub(crate) live: &'static str,
    pub(crate) results: &'static str,
    pub(crate) trend: &'static str,
    pub(crate) status: &'static str,
    pub(crate) alarms: &'static str,
}

#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) waiting: &'static str,
    pub(crate) connected: &'static str,
    pub(crate) receiving: &'static str,
    pub(crate) lost: &'static str,
    pub(crate) no_source: &'static str,
}

#[derive(Debug)]
pub(crate) struct Verdicts {
    pub(crate) ready: &'static str,
    pub(crate) working: &'static str,
    pub(crate) cannot_say: &'static str,
    pub(crate) unreadable: &'static str,
    pub(crate) fault: &'static str,
}

#[derive(Debug)]
pub(crate) struct Reasons {
    pub(crate) low_confidence: Said,
    pub(crate) blurred: Said,
    pub(crate) too_dark: Said,
    pub(crate) too_bright: Said,
    pub(crate) saturated: Said,
    pub(crate) wrong_geometry: Said,
    pub(crate) out_of_distribution: Said,
    pub(crate) unreadable: Said,
    pub(crate) model_fault: Said,
}

#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) old_result: &'static str,
    pub(crate) nearest: &'static str,
    pub(crate) needed: &'static str,
    pub(crate) no_image_yet: &'static str,
    pub(crate) no_picture: &'static str,
    pub(crate) relevance: &'static str,
    pub(crate) answers: &'static str,
    pub(crate) skipped: &'static str,
    pub(crate) on_trial: &'static str,
    pub(crate) no_model: &'static str,
}

#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) newest_first: &'static str,
    pub(crate) of: &'static str,
    pub(crate) none_yet: &'static str,
}

#[derive(Debug)]
pub(crate) struct Trend {
    pub(crate) per_minute: &'static str,
    pub(crate) per_hour: &'static str,
    pub(crate) per_day: &'static str,
    pub(crate) class: &'static str,
    pub(crate) cannot_say: &'static str,
    pub(crate) unreadable: &'static str,
    pub(crate) coverage: &'static str,
    pub(crate) none: &'static str,
}

#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) images: &'static str,
    pub(crate) errors: &'static str,
    pub(crate) store: &'static str,
    pub(crate) writable: &'static str,
    pub(crate) not_writable: &'static str,
    pub(crate) disk_free: &'static str,
    pub(crate) model: &'static str,
    pub(crate) version: &'static str,
    pub(crate) digest: &'static str,
    pub(crate) temperature: &'static str,
    pub(crate) clock: &'static str,
    pub(crate) not_set: &'static str,
    pub(crate) uptime: &'static str,
    pub(crate) language: &'static str,
    pub(crate) software: &'static str,
    pub(crate) unknown: &'static str,
}

#[derive(Debug)]
pub(crate) struct Severities {
    pub(crate) critical: &'static str,
    pub(crate) warning: &'static str,
    pub(crate) notice: &'static str,
}

#[derive(Debug)]
pub(crate) struct Alarms {
    pub(crate) none: &'static str,
    pub(crate) since: &'static str,
    pub(crate) more: &'static str,
    pub(crate) source_lost: Remedy,
    pub(crate) source_noisy: Remedy,
    pub(crate) disk_full: Remedy,
    pub(crate) disk_read_only: Remedy,
    pub(crate) store_fault: Remedy,
    pub(crate) audit_broken: Remedy,
    pub(crate) model_fault: Remedy,
    pub(crate) model_rolled_back: Remedy,
    pub(crate) no_model: Remedy,
    pub(crate) clock_jumped: Remedy,
    pub(crate) clock_not_set: Remedy,
    pub(crate) overheated: Remedy,
    pub(crate) out_of_memory: Remedy,
    pub(crate) overloaded: Remedy,
    pub(crate) hanging: Remedy,
    pub(crate) disk_low: Remedy,
    pub(crate) display_lost: Remedy,
    pub(crate) stopped: Remedy,
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn a_language_is_found_by_its_code() {
        for language in Language::ALL {
            assert_eq!(Language::from_code(language.code()), Some(language));
        }
        assert_eq!(Language::from_code("xx"), None);
    }

    #[test]
    fn every_word_is_there_and_in_the_fonts() {
        for language in Language::ALL {
            let all = format!("{:?} {}", language.texts(), language.own_name());
            assert!(!all.contains("\"\""), "{language:?} has an empty text");
            for letter in all.chars() {
                assert!(letter.is_ascii() || ('\u{A0}'..='\u{FF}').contains(&letter), "{language:?}: {letter}");
            }
        }
    }
}
