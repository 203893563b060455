//! How often a token may be tried.

use super::address::{ByPeer, Peer};
use super::bucket::Bucket;
use crate::Limits;
use std::net::IpAddr;
use std::time::Duration;

/// After this long without a wrong token a peer starts afresh.
const FORGIVEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Wrong tokens a second that other machines may go on giving, all together.
const FAILURES_PER_SECOND: f64 = 0.5;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The token is right.
    Accepted,
    /// The token is wrong.
    Refused,
    /// Too early; the token was not looked at.
    TooEarly {
        /// When to try again.
        wait: Duration,
    },
}

/// Counts wrong tokens by address and altogether.
///
/// From one address, the wait doubles with each. From all other machines together they are limited too, while loopback
/// is left out of that sum: whoever sits at the device, or comes through a tunnel, can not be shut out from afar.
#[derive(Debug)]
pub(crate) struct LoginLimiter {
    free_failures: u32,
    longest_wait: Duration,
    failures_at_once: f64,
    by_peer: ByPeer<Failures>,
    together: Bucket,
}

#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Duration,
    /// When the next attempt is looked at.
    open_at: Duration,
}

impl LoginLimiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            free_failures: limits.free_failures,
            longest_wait: limits.longest_wait,
            failures_at_once: limits.failures_at_once,
            by_peer: ByPeer::default(),
            together: Bucket::full(limits.failures_at_once, Duration::ZERO),
        }
    }

    /// Lets a peer try, if it may. Looking and counting are one step, so that attempts at once are no way around it.
    pub(crate) fn attempt(&mut self, address: IpAddr, now: Duration, is_right: impl FnOnce() -> bool) -> Attempt {
        let peer = Peer::from(address);
        let is_remote = !address.to_canonical().is_loopback();
        let failures = self.by_peer.seen(peer, now, Failures::default);
        if now >= failures.last + FORGIVEN_AFTER {
            *failures = Failures::default();
        }
        if now < failures.open_at {
            return Attempt::TooEarly { wait: failures.open_at - now };
        }
        self.together.fill(self.failures_at_once, FAILURES_PER_SECOND, now);
        if let Some(wait) = self.together.wait(FAILURES_PER_SECOND).filter(|_| is_remote) {
            return Attempt::TooEarly { wait };
        }
        if is_right() {
            self.by_peer.forget(peer);
            return Attempt::Accepted;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        failures.open_at = now + wait_after(failures.count, self.free_failures, self.longest_wait);
        if is_remote {
            self.together.take();
        }
        Attempt::Refused
    }
}

/// 1 s after the first failure that is not free, then twice as long each time.
fn wait_after(failures: u32, free: u32, longest: Duration) -> Duration {
    match failures.checked_sub(free + 1) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1u64.checked_shl(doublings.min(63)).unwrap_or(u64::MAX)).min(longest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter() -> LoginLimiter {
        LoginLimiter::new(&Limits::default())
    }

    fn seconds(attempt: Attempt) -> Option<f64> {
        match attempt {
            Attempt::TooEarly { wait } => Some(wait.as_secs_f64()),
            _ => None,
        }
    }

    #[test]
    fn waits_double_up_to_a_minute() {
        let (mut limiter, address) = (limiter(), IpAddr::from([10, 0, 0, 7]));
        let mut now = Duration::from_secs(100);
        for _ in 0..3 {
            assert_eq!(limiter.attempt(address, now, || false), Attempt::Refused);
        }
        let waits = [(); 8].map(|()| {
            assert_eq!(limiter.attempt(address, now, || false), Attempt::Refused);
            let wait = seconds(limiter.attempt(address, now, || unreachable!("too early to look"))).unwrap();
            now += Duration::from_secs_f64(wait);
            wait
        });
        assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    }

    #[test]
    fn the_right_token_too_early_does_not_get_in() {
        let (mut limiter, address) = (limiter(), IpAddr::from([10, 0, 0, 7]));
        for _ in 0..4 {
            assert_eq!(limiter.attempt(address, Duration::ZERO, || false), Attempt::Refused);
        }
        assert_eq!(seconds(limiter.attempt(address, Duration::ZERO, || true)), Some(1.0));
        assert_eq!(limiter.attempt(address, Duration::from_secs(1), || true), Attempt::Accepted);
        assert_eq!(limiter.attempt(address, Duration::from_secs(1), || false), Attempt::Refused);
        assert_eq!(limiter.attempt(address, Duration::from_secs(1), || true), Attempt::Accepted);
    }

    #[test]
    fn one_address_in_back_off_leaves_others_alone() {
        let mut limiter = limiter();
        for second in 0..600 {
            limiter.attempt(IpAddr::from([10, 0, 0, 7]), Duration::from_secs(second), || false);
        }
        let honest = IpAddr::from([10, 0, 0, 8]);
        assert_eq!(limiter.attempt(honest, Duration::from_secs(600), || true), Attempt::Accepted);
    }

    #[test]
    fn many_addresses_together_are_limited_and_loopback_still_gets_in() {
        let mut limiter = limiter();
        let refused = (0..200u8)
            .filter(|i| limiter.attempt(IpAddr::from([10, 0, 0, *i]), Duration::ZERO, || false) == Attempt::Refused)
            .count();
        assert_eq!(refused, 30);
        assert_eq!(seconds(limiter.attempt(IpAddr::from([10, 0, 1, 1]), Duration::ZERO, || true)), Some(2.0));
        assert_eq!(limiter.attempt(IpAddr::from([127, 0, 0, 1]), Duration::ZERO, || true), Attempt::Accepted);
        assert_eq!(limiter.attempt(IpAddr::from([10, 0, 1, 1]), Duration::from_secs(2), || true), Attempt::Accepted);
    }

    #[test]
    fn failures_are_forgiven_after_a_quarter_of_an_hour() {
        let (mut limiter, address) = (limiter(), IpAddr::from([127, 0, 0, 1]));
        for second in 0..3600 {
            limiter.attempt(address, Duration::from_secs(second), || false);
        }
        let later = Duration::from_secs(3600 + 15 * 60);
        for _ in 0..4 {
            assert_eq!(limiter.attempt(address, later, || false), Attempt::Refused);
        }
        assert_eq!(seconds(limiter.attempt(address, later, || false)), Some(1.0));
    }
}
