//! What is in force, as the log tells it: each event of a kind says what differs from the ones before.

use super::Event;
use std::collections::BTreeMap;

/// Bytes of the longest name or value that the log keeps, cut at a character: all of them must fit into the line of one event.
const MAX_TEXT: usize = 200;

/// What differs: the value from now on by name, or `None` for what is gone.
pub type Changed = BTreeMap<String, Option<String>>;

/// Values by name, as the log keeps them: a long text is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, String>);

/// What a log says is in force at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// By [`Event::Configuration`].
    pub settings: Values,
    /// Fingerprints by file, by [`Event::KeyChanged`].
    pub keys: Values,
}

impl Values {
    /// What turns these into `next`.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Changed {
        let gone = self.0.keys().filter(|name| !next.0.contains_key(*name)).map(|name| (name.clone(), None));
        let now = next.0.iter().filter(|(name, value)| self.0.get(*name) != Some(*value));
        gone.chain(now.map(|(name, value)| (name.clone(), Some(value.clone())))).collect()
    }

    fn follow(&mut self, changed: Changed) {
        for (name, value) in changed {
            match value {
                Some(value) => self.0.insert(name, value),
                None => self.0.remove(&name),
            };
        }
    }
}

impl FromIterator<(String, String)> for Values {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        Self(values.into_iter().map(|(name, value)| (cut(name), cut(value))).collect())
    }
}

impl InForce {
    /// Goes on by one line of the log.
    pub(super) fn follow(&mut self, event: Event) {
        match event {
            Event::Configuration { changed, .. } => self.settings.follow(changed),
            Event::KeyChanged { changed } => self.keys.follow(changed),
            _ => {}
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT));
    text
}
