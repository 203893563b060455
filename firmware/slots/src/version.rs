//! Which of two versions of a model is the newer one.

use std::cmp::Ordering;

/// A version as people write them: numbers between dots, then perhaps `-` and a pre-release, then perhaps `+` and build
/// metadata, which does not count. Missing numbers are 0, so 1 and 1.0.0 are equal.
///
/// Source of the order: Semantic Versioning 2.0.0, section 11, for any count of numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Version {
    /// Without zeros at the end.
    numbers: Vec<u64>,
    /// Empty for a release.
    pre_release: Vec<Identifier>,
}

/// One part of a pre-release. Numbers come before words, as the order of the variants says.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl Version {
    /// The version that `text` spells; `None` if it has no order.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let (release, pre_release) = text.split_once('-').map_or((text, None), |(left, right)| (left, Some(right)));
        let mut numbers = release.split('.').map(number).collect::<Option<Vec<_>>>()?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        let pre_release = match pre_release {
            Some(parts) => parts.split('.').map(identifier).collect::<Option<_>>()?,
            None => Vec::new(),
        };
        Some(Self { numbers, pre_release })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release comes after all of its pre-releases.
        let release = |version: &Self| version.pre_release.is_empty();
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| release(self).cmp(&release(other)))
            .then_with(|| self.pre_release.cmp(&other.pre_release))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn number(text: &str) -> Option<u64> {
    // `parse` alone would take "+1".
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn identifier(text: &str) -> Option<Identifier> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return None;
    }
    Some(number(text).map_or_else(|| Identifier::Word(text.to_owned()), Identifier::Number))
}

/// Whether a model of version `found` would be a step back from `highest`. So is one that cannot be compared, unless it is
/// the same text.
pub(crate) fn is_downgrade(found: &str, highest: &str) -> bool {
    match (Version::parse(found), Version::parse(highest)) {
        (Some(found), Some(highest)) => found < highest,
        _ => found != highest,
    }
}

/// The higher one of what was the highest version and one that turned out good. One without an order counts for nothing
/// against one that has an order.
pub(crate) fn higher<'a>(highest: Option<&'a str>, good: &'a str) -> &'a str {
    let Some(highest) = highest else { return good };
    match (Version::parse(highest), Version::parse(good)) {
        (Some(before), Some(now)) if now > before => good,
        (None, Some(_)) => good,
        _ => highest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_ordered_as_people_read_them() {
        let rising =
            ["0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1-rc.1"];
        let rising = rising.into_iter().chain(["1", "1.0.1", "1.2", "1.10", "2", "2026-11-08", "2026-11-26", "2026"]);
        let rising: Vec<&str> = rising.collect();
        for pair in rising.windows(2) {
            assert!(!is_downgrade(pair[1], pair[0]), "{pair:?}");
            assert!(is_downgrade(pair[0], pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn missing_numbers_are_zero_and_build_metadata_does_not_count() {
        for same in ["1.0", "1.0.0", "1+today", "1.0+b.1-2"] {
            assert_eq!(Version::parse(same), Version::parse("1"), "{same}");
        }
    }

    #[test]
    fn what_has_no_order_counts_as_a_step_back() {
        for odd in ["", "v1", "1..2", "1.", "-1", "+1", "1-", "1-a..b", "latest", "1.x", "99999999999999999999"] {
            assert_eq!(Version::parse(odd), None, "{odd}");
            assert!(is_downgrade(odd, "1") && is_downgrade("1", odd) && !is_downgrade(odd, odd), "{odd}");
        }
        assert_eq!([higher(Some("odd"), "1"), higher(Some("1"), "odd"), higher(None, "odd")], ["1", "1", "odd"]);
    }

    proptest! {
        #[test]
        fn the_highest_version_never_falls(versions in proptest::collection::vec("[0-3](\\.[0-3]){0,2}(-[a1](\\.[0-2])?)?", 1..8)) {
            let mut highest: Option<&str> = None;
            for version in &versions {
                let raised = higher(highest, version);
                prop_assert!(highest.is_none_or(|before| !is_downgrade(raised, before)));
                highest = Some(raised);
            }
            prop_assert!(versions.iter().all(|version| !is_downgrade(highest.unwrap(), version)));
        }
    }
}
