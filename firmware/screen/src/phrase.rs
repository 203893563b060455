//! Short formatted texts without an allocator.

use core::fmt::{self, Display, Formatter, Write};

/// A formatted text of at most 48 bytes of UTF-8; what does not fit is cut between letters. For numbers and our own
/// words: names that others chose are laid out where they stand.
pub(crate) struct Phrase {
    bytes: [u8; 48],
    len: usize,
}

impl Phrase {
    pub(crate) fn of(text: fmt::Arguments<'_>) -> Self {
        let mut phrase = Self { bytes: [0; 48], len: 0 };
        // Full is the only way to fail, and cut then is what the type promises.
        let _full = phrase.write_fmt(text);
        phrase
    }

    pub(crate) fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl Write for Phrase {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let end = self.len + letter.len_utf8();
            let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
            letter.encode_utf8(room);
            self.len = end;
        }
        Ok(())
    }
}

/// A count in groups of three with unbreakable spaces between, as ISO 80000-1 writes numbers in any language.
pub(crate) struct Grouped(pub(crate) u64);

impl Display for Grouped {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(out, "{}", self.0);
        }
        write!(out, "{}\u{A0}{:03}", Grouped(self.0 / 1000), self.0 % 1000)
    }
}

/// A share in units of 1/10000, rounded down, as a percentage with one decimal, the nearest as on the web page and in the journal; but 100 %
/// is said of certainty only.
pub(crate) struct Percent {
    pub(crate) of_10000: u16,
    pub(crate) decimal_mark: char,
}

impl Display for Percent {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let tenths = match self.of_10000 {
            10_000.. => 1000,
            share => ((share + 5) / 10).min(999),
        };
        write!(out, "{}{}{}\u{A0}%", tenths / 10, self.decimal_mark, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_in_threes() {
        for (count, expected) in [(0, "0"), (999, "999"), (1000, "1 000"), (12_045_006, "12 045 006")] {
            assert_eq!(Phrase::of(format_args!("{}", Grouped(count))).as_str().replace('\u{A0}', " "), expected);
        }
        assert_eq!(Phrase::of(format_args!("{}", Grouped(u64::MAX))).as_str().chars().count(), 26);
    }

    #[test]
    fn only_certainty_is_a_hundred_percent() {
        let percent = |of_10000| Phrase::of(format_args!("{}", Percent { of_10000, decimal_mark: ',' }));
        for (share, expected) in [
            (0, "0,0\u{A0}%"),
            (5244, "52,4\u{A0}%"),
            (5245, "52,5\u{A0}%"),
            (9999, "99,9\u{A0}%"),
            (10_001, "100,0\u{A0}%"),
        ] {
            assert_eq!(percent(share).as_str(), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_between_letters() {
        let phrase = Phrase::of(format_args!("{}", "ä".repeat(30)));
        assert_eq!(phrase.as_str(), "ä".repeat(24));
    }
}
