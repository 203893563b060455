//! The settings in force, as the log tells them: each `configuration` event says what differs from the ones before.

use super::Event;
use std::collections::BTreeMap;

/// Bytes of the longest name or value that the log keeps, cut at a character; all of a long line must fit into one event.
const MAX_TEXT: usize = 200;

/// Settings by name, as the log keeps them: a long one is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// What turns these settings into `next`: the value from now on, or `None` for a setting that is gone.
    #[must_use]
    pub fn changes(&self, next: &Self) -> BTreeMap<String, Option<String>> {
        let gone = self.0.keys().filter(|name| !next.0.contains_key(*name)).map(|name| (name.clone(), None));
        let now = next.0.iter().filter(|(name, value)| self.0.get(*name) != Some(*value));
        gone.chain(now.map(|(name, value)| (name.clone(), Some(value.clone())))).collect()
    }

    /// Goes on by one line of the log.
    pub(super) fn follow(&mut self, event: Event) {
        let Event::Configuration { changed, .. } = event else { return };
        for (name, value) in changed {
            match value {
                Some(value) => self.0.insert(name, value),
                None => self.0.remove(&name),
            };
        }
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(settings: I) -> Self {
        Self(settings.into_iter().map(|(name, value)| (cut(name), cut(value))).collect())
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}
