//! What is remembered of each peer, for a bounded number of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Peers that are remembered at once.
const MOST: usize = 1024;

/// One peer: an IPv4 address, or a network of 64 bits of IPv6, within which a machine picks its addresses freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                Self(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into())
            }
            address => Self(address),
        }
    }
}

/// Something for each peer. When there are too many, the one not seen for longest is forgotten.
#[derive(Debug)]
pub(crate) struct ByPeer<T> {
    entries: BTreeMap<Peer, (Duration, T)>,
}

impl<T> Default for ByPeer<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<T> ByPeer<T> {
    /// What is remembered of a peer that is seen now; `begin` when that is nothing.
    pub(crate) fn seen(&mut self, peer: Peer, now: Duration, begin: impl FnOnce() -> T) -> &mut T {
        if self.entries.len() >= MOST && !self.entries.contains_key(&peer) {
            let longest_ago = self.entries.iter().min_by_key(|(_, (seen, _))| *seen).map(|(peer, _)| *peer);
            longest_ago.map(|peer| self.entries.remove(&peer));
        }
        let (seen, entry) = self.entries.entry(peer).or_insert_with(|| (now, begin()));
        *seen = now;
        entry
    }

    pub(crate) fn forget(&mut self, peer: Peer) {
        self.entries.remove(&peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_that_one_machine_can_pick_are_one_peer() {
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:10.0.0.7"), peer("10.0.0.7"));
        assert_ne!(peer("10.0.0.7"), peer("10.0.0.8"));
        assert_ne!(peer("::1"), peer("::2"));
    }

    #[test]
    fn memory_is_bounded_and_the_longest_unseen_is_forgotten() {
        let mut all = ByPeer::default();
        for i in 0..5000u32 {
            *all.seen(IpAddr::from(i.to_be_bytes()).into(), Duration::from_secs(i.into()), || 0) = i;
        }
        assert_eq!(all.entries.len(), MOST);
        assert_eq!(*all.seen(IpAddr::from(4999u32.to_be_bytes()).into(), Duration::from_secs(5000), || 7), 4999);
        assert_eq!(*all.seen(IpAddr::from([0, 0, 0, 0]).into(), Duration::from_secs(5000), || 7), 7);
    }
}
