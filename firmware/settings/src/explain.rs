//! Settings in words: what `remedis-device check` prints.

use std::fmt;
use std::path::Path;

/// One setting, its value and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// As the file names it, with its section.
    pub setting: String,
    /// As it is now.
    pub value: String,
    /// What it does.
    pub meaning: String,
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} = {}: {}", self.setting, self.value, self.meaning)
    }
}

/// Collects lines.
#[derive(Default)]
pub(crate) struct Explain {
    section: Option<&'static str>,
    pub(crate) lines: Vec<Line>,
}

impl Explain {
    /// A section that may be left out.
    pub(crate) fn section<T>(
        &mut self,
        name: &'static str,
        section: Option<&T>,
        without: &str,
        explain: impl FnOnce(&T, &mut Self),
    ) {
        match section {
            None => self.lines.push(Line {
                setting: format!("[{name}]"),
                value: "left out".into(),
                meaning: without.to_owned(),
            }),
            Some(section) => self.within(name, |lines| explain(section, lines)),
        }
    }

    /// The settings of a section; `name` has the sections around it.
    pub(crate) fn within(&mut self, name: &'static str, explain: impl FnOnce(&mut Self)) {
        let around = self.section.replace(name);
        explain(self);
        self.section = around;
    }

    pub(crate) fn value(&mut self, name: &str, value: impl ToString, meaning: impl Into<String>) {
        let setting = self.section.map_or_else(|| name.to_owned(), |section| format!("{section}.{name}"));
        self.lines.push(Line { setting, value: value.to_string(), meaning: meaning.into() });
    }

    pub(crate) fn path(&mut self, name: &str, path: &Path, meaning: &str) {
        self.value(name, path.display(), meaning);
    }

    pub(crate) fn optional_path(&mut self, name: &str, path: Option<&Path>, meaning: &str) {
        self.optional(name, path.map(Path::display), meaning);
    }

    pub(crate) fn optional(&mut self, name: &str, value: Option<impl fmt::Display>, meaning: &str) {
        self.value(name, value.map_or_else(|| "none".to_owned(), |value| value.to_string()), meaning);
    }
}
