//! Who is logged in. Kept in memory only: a restart ends every session.

use crate::{Limits, NoRandomness};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// What a browser shows to be let in again: 256 random bits.
pub(crate) struct SessionId([u8; 32]);

impl SessionId {
    fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    fn digest(text: &str) -> [u8; 32] {
        Sha256::digest(text).into()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The sessions that are open.
#[derive(Debug)]
pub(crate) struct Sessions {
    open: Vec<Session>,
    most: usize,
    idle: Duration,
    life: Duration,
}

/// Of a session's secret only the digest is kept: memory that leaks lets nobody in.
#[derive(Debug)]
struct Session {
    digest: [u8; 32],
    opened: Duration,
    used: Duration,
}

impl Sessions {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { open: Vec::new(), most: limits.sessions.max(1), idle: limits.session_idle, life: limits.session_life }
    }

    /// Lets somebody in; when there are too many, the one who was idle longest has to go.
    pub(crate) fn open(&mut self, now: Duration) -> Result<SessionId, NoRandomness> {
        let id = SessionId::generate()?;
        self.expire(now);
        if self.open.len() >= self.most {
            let idlest = self.open.iter().enumerate().min_by_key(|(_, session)| session.used).map(|(i, _)| i);
            idlest.map(|i| self.open.swap_remove(i));
        }
        self.open.push(Session { digest: SessionId::digest(&id.to_string()), opened: now, used: now });
        Ok(id)
    }

    /// Whether somebody is in; `is_active` when a person turned a page, not when a page fetched something by itself.
    pub(crate) fn is_open(&mut self, id: &str, now: Duration, is_active: bool) -> bool {
        self.expire(now);
        let digest = SessionId::digest(id);
        let found = self.open.iter_mut().find(|session| session.digest.ct_eq(&digest).into());
        found.is_some_and(|session| {
            if is_active {
                session.used = now;
            }
            true
        })
    }

    /// Lets somebody out.
    pub(crate) fn close(&mut self, id: &str) {
        let digest = SessionId::digest(id);
        self.open.retain(|session| !bool::from(session.digest.ct_eq(&digest)));
    }

    /// How many are in.
    pub(crate) fn count(&mut self, now: Duration) -> usize {
        self.expire(now);
        self.open.len()
    }

    fn expire(&mut self, now: Duration) {
        self.open.retain(|session| now < session.used + self.idle && now < session.opened + self.life);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn who_turns_no_page_for_half_an_hour_is_out() {
        let mut sessions = Sessions::new(&Limits::default());
        let id = sessions.open(Duration::ZERO).unwrap().to_string();
        assert!(sessions.is_open(&id, 29 * MINUTE, true));
        assert!(sessions.is_open(&id, 58 * MINUTE, false));
        assert!(!sessions.is_open(&id, 59 * MINUTE, true), "the refresh at minute 58 was no person's");
    }

    #[test]
    fn after_twelve_hours_everybody_is_out() {
        let mut sessions = Sessions::new(&Limits::default());
        let id = sessions.open(Duration::ZERO).unwrap().to_string();
        assert!((0..720).all(|minute| sessions.is_open(&id, minute * MINUTE, true)));
        assert!(!sessions.is_open(&id, 720 * MINUTE, true));
    }

    #[test]
    fn one_too_many_ends_the_idlest() {
        let mut sessions = Sessions::new(&Limits { sessions: 2, ..Limits::default() });
        let [a, b] = [0, 1].map(|minute| sessions.open(minute * MINUTE).unwrap().to_string());
        assert!(sessions.is_open(&a, 2 * MINUTE, true));
        let c = sessions.open(3 * MINUTE).unwrap().to_string();
        assert_eq!([&a, &b, &c].map(|id| sessions.is_open(id, 4 * MINUTE, true)), [true, false, true]);
    }

    #[test]
    fn who_left_is_out_and_a_guess_was_never_in() {
        let mut sessions = Sessions::new(&Limits::default());
        let id = sessions.open(Duration::ZERO).unwrap().to_string();
        assert_eq!(id.len(), 64);
        for guess in ["", "0", &id[1..], &id.to_uppercase().replace(char::is_numeric, "A")] {
            assert!(!sessions.is_open(guess, MINUTE, true));
        }
        sessions.close(&id);
        assert_eq!(sessions.count(MINUTE), 0);
        assert!(!sessions.is_open(&id, MINUTE, true));
    }
}
