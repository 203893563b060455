//! The token that lets people in: made by the device, shown once, kept only as a digest.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Crockford's base 32: no `i`, `l`, `o` or `u`, so that a token read aloud or off paper is not mistaken.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const CHARACTERS: usize = 32;
const GROUP: usize = 4;

/// The operating system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness(#[from] getrandom::Error);

/// 160 random bits that let people in.
///
/// Nothing shorter can be a token, so no one can choose a word instead; that is also why one round of SHA-256 is enough
/// to keep it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; CHARACTERS]);

impl Token {
    /// A new token from the operating system's randomness.
    ///
    /// # Errors
    /// When there is none.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; CHARACTERS];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes.map(|byte| ALPHABET[usize::from(byte % 32)])))
    }

    /// Reads a token as people type it: in either case, with or without dashes and spaces.
    pub fn parse(text: &str) -> Option<Self> {
        let kept = text.bytes().filter(|byte| !matches!(byte, b'-' | b' ' | b'\t' | b'\r' | b'\n'));
        let characters: Vec<u8> = kept.take(CHARACTERS + 1).map(canonical).collect();
        let characters: [u8; CHARACTERS] = characters.try_into().ok()?;
        characters.iter().all(|byte| ALPHABET.contains(byte)).then_some(Self(characters))
    }

    /// What the device keeps of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0).into())
    }
}

/// What Crockford reads for letters that look like digits.
fn canonical(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        b'i' | b'l' => b'1',
        b'o' => b'0',
        other => other,
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.0.chunks(GROUP).enumerate() {
            let dash = if i == 0 { "" } else { "-" };
            write!(f, "{dash}{}", String::from_utf8_lossy(group))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The SHA-256 digest of a token's 32 characters, written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Whether `text` is the token, in a time that does not tell how much of it is right.
    pub(crate) fn is_of(&self, text: &str) -> bool {
        Token::parse(text).is_some_and(|token| token.digest().0.ct_eq(&self.0).into())
    }
}

/// Text that is no digest of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the SHA-256 digest of a token, 64 hexadecimal digits, found {characters} characters; `remedis-device token` makes one"
)]
pub struct BadTokenDigest {
    /// How long the text is; the text itself may be a secret.
    pub characters: usize,
}

impl FromStr for TokenDigest {
    type Err = BadTokenDigest;

    /// Takes white space around the digits, so that the content of a file can be handed over as it is.
    fn from_str(text: &str) -> Result<Self, BadTokenDigest> {
        let digits = text.trim().as_bytes();
        let bad = BadTokenDigest { characters: text.trim().chars().count() };
        let pairs: &[[u8; 2]; 32] = digits.as_chunks().0.try_into().map_err(|_length| bad)?;
        if digits.len() != 64 {
            return Err(bad);
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = (nibble(*high).ok_or(bad)? << 4) | nibble(*low).ok_or(bad)?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZEROS: &str = "0000-0000-0000-0000-0000-0000-0000-0000";
    /// `printf 00000000000000000000000000000000 | sha256sum`
    const OF_ZEROS: &str = "84e0c0eafaa95a34c293f278ac52e45ce537bab5e752a00e6959a13ae103b65a";

    #[test]
    fn a_token_is_read_as_people_write_it() {
        let digest: TokenDigest = OF_ZEROS.parse().unwrap();
        assert!(digest.is_of(ZEROS));
        assert!(digest.is_of(" OOOO oooo 0000-0000-0000-0000-0000-0000\n"));
        assert_eq!(Token::parse(ZEROS).unwrap().to_string(), ZEROS);
    }

    #[test]
    fn anything_else_is_no_token() {
        let digest: TokenDigest = OF_ZEROS.parse().unwrap();
        for text in [
            "",
            "password",
            &ZEROS[..38],
            &format!("{ZEROS}0"),
            &ZEROS.replacen('0', "u", 1),
            &ZEROS.replacen('0', "ß", 1),
        ] {
            assert!(Token::parse(text).is_none() && !digest.is_of(text), "{text}");
        }
        assert!(!digest.is_of(&ZEROS.replacen('0', "1", 1)));
    }

    #[test]
    fn two_tokens_differ_and_show_nothing_when_debugged() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "Token(…)");
    }

    #[test]
    fn what_is_no_digest_is_not_repeated_in_the_error() {
        let error = "my secret word".parse::<TokenDigest>().unwrap_err();
        assert_eq!(error, BadTokenDigest { characters: 14 });
        assert!(!error.to_string().contains("secret"));
        assert!(format!("{OF_ZEROS}00").parse::<TokenDigest>().is_err());
        assert!(OF_ZEROS.replacen('8', "g", 1).parse::<TokenDigest>().is_err());
    }

    proptest! {
        #[test]
        fn a_digest_comes_back_as_it_was_written(bytes: [u8; 32]) {
            let text = TokenDigest(bytes).to_string();
            prop_assert_eq!(format!("{text}\n").parse::<TokenDigest>().unwrap().0, bytes);
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,80}") {
            let _any = Token::parse(&text);
            let _any = text.parse::<TokenDigest>();
        }
    }
}
