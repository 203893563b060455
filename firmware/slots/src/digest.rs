//! The name of a bundle that nothing else can have.

use serde::{Deserialize, Serialize};

/// SHA-256 of a bundle's payload: 64 lower-case hexadecimal digits, so also a safe file name.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// How the files of bundles end.
const EXTENSION: &str = ".remedis";

impl Digest {
    /// The digest that `text` spells.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// Its 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest that a bundle's file is named by, if `name` is one.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        Self::parse(name.strip_suffix(EXTENSION)?)
    }

    /// Name of the file that holds the bundle.
    pub(crate) fn file(&self) -> String {
        format!("{self}{EXTENSION}")
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("a digest should be 64 hexadecimal digits, found {text:?}"))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_lower_case_digits_are_a_digest() {
        let good = "0123456789abcdef".repeat(4);
        assert_eq!(Digest::of_file(&format!("{good}.remedis")).unwrap().as_str(), good);
        for name in ["../../etc/passwd", &good[1..], &good.to_uppercase(), &format!("{good}0"), ""] {
            assert_eq!(Digest::parse(name), None, "{name}");
        }
        assert_eq!(Digest::of_file(&good), None);
    }
}
