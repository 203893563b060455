//! After which stage a run ends: what `pretrain`, `contrast`, `finetune`, `distill` and `export` are.

use std::ffi::{OsStr, OsString};

/// The last stage of a command, in the order of stages. Each does whatever before it is not done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// Supervised, on natural images.
    Pretrain,
    /// Contrastive, on unlabelled images.
    Contrast,
    /// Fine-tuning of both arms, here and at the new site.
    Finetune,
    /// The student.
    Distill,
    /// The student's files.
    Export,
    /// Results and report.
    End,
}

impl Until {
    /// The verb that goes one stage further.
    fn next(self) -> &'static str {
        match self {
            Self::Pretrain => "contrast",
            Self::Contrast => "finetune",
            Self::Finetune => "distill",
            Self::Distill => "export",
            Self::Export | Self::End => "run",
        }
    }

    /// The command that goes one stage further: `line`, the one that was typed, with another verb.
    pub(crate) fn next_command(self, line: impl IntoIterator<Item = OsString>) -> String {
        let mut words: Vec<OsString> = line.into_iter().collect();
        if let Some(verb) = words.get_mut(1) {
            *verb = self.next().into();
        }
        let has_new_site = words.iter().any(|word| word == "--shifted" || as_text(word).starts_with("--shifted="));
        if self.next() == "run" && !has_new_site {
            words.extend(["--shifted", "SET"].map(OsString::from));
        }
        words.iter().map(|word| quoted(&as_text(word))).collect::<Vec<_>>().join(" ")
    }
}

fn as_text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(until: Until, line: &[&str]) -> String {
        until.next_command(line.iter().map(OsString::from))
    }

    #[test]
    fn the_next_command_is_this_one_with_the_next_verb() {
        assert_eq!(
            next(Until::Pretrain, &["remedis-train", "pretrain", "--data", "my cells", "--out", "run"]),
            "remedis-train contrast --data 'my cells' --out run"
        );
        assert_eq!(
            next(Until::Export, &["remedis-train", "export", "--data=a", "--shifted=b"]),
            "remedis-train run --data=a --shifted=b"
        );
        assert_eq!(
            next(Until::Export, &["remedis-train", "export", "--data", "it's"]),
            r"remedis-train run --data 'it'\''s' --shifted SET"
        );
    }

    #[test]
    fn stages_are_in_order() {
        assert!(Until::Pretrain < Until::Contrast && Until::Finetune < Until::Distill && Until::Export < Until::End);
    }
}
