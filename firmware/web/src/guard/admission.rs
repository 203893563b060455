//! Who may hold a connection.

use super::address::Peer;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The connections that are open, of at most so many, and so many a peer.
///
/// When there is no room, the connection that has waited longest for its next request makes room: one that trickles its
/// headers never finishes them, while an honest one is answered within moments. Only when every connection is at work is
/// the new one refused.
#[derive(Debug)]
pub(crate) struct Admission {
    table: Arc<Mutex<Table>>,
    most: usize,
    most_per_peer: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// In the order in which they began to wait or work.
    entries: Vec<Entry>,
    next_id: u64,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    peer: Peer,
    address: IpAddr,
    is_working: bool,
    eviction: Arc<Notify>,
}

/// What became of a new connection.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// It may stay.
    Yes {
        /// Holds its place.
        ticket: Ticket,
        /// From where the one came that had to go for it.
        evicted: Option<IpAddr>,
    },
    /// There is no room.
    No,
}

/// A connection's place, until dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: u64,
    table: Arc<Mutex<Table>>,
    eviction: Arc<Notify>,
    n_requests: AtomicU32,
}

impl Admission {
    pub(crate) fn new(most: usize, most_per_peer: usize) -> Self {
        Self { table: Arc::default(), most: most.max(1), most_per_peer: most_per_peer.max(1) }
    }

    /// Finds a place for a new connection.
    pub(crate) fn admit(&self, address: IpAddr) -> Admitted {
        let peer = Peer::from(address);
        let mut table = lock(&self.table);
        let evicted = if table.count(peer) >= self.most_per_peer {
            table.evict_one_of(peer)
        } else if table.entries.len() >= self.most {
            table.fullest().and_then(|fullest| table.evict_one_of(fullest))
        } else {
            let ticket = self.seat(&mut table, peer, address);
            return Admitted::Yes { ticket, evicted: None };
        };
        match evicted {
            Some(_) => Admitted::Yes { ticket: self.seat(&mut table, peer, address), evicted },
            None => Admitted::No,
        }
    }

    fn seat(&self, table: &mut Table, peer: Peer, address: IpAddr) -> Ticket {
        let (id, eviction) = (table.next_id, Arc::<Notify>::default());
        table.next_id += 1;
        table.entries.push(Entry { id, peer, address, is_working: false, eviction: Arc::clone(&eviction) });
        Ticket { id, table: Arc::clone(&self.table), eviction, n_requests: AtomicU32::new(0) }
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        lock(&self.table).entries.len()
    }
}

impl Table {
    fn count(&self, peer: Peer) -> usize {
        self.entries.iter().filter(|entry| entry.peer == peer).count()
    }

    /// The peer that holds most connections, of those of which one waits.
    fn fullest(&self) -> Option<Peer> {
        let waiting = self.entries.iter().filter(|entry| !entry.is_working);
        waiting.map(|entry| entry.peer).max_by_key(|peer| self.count(*peer))
    }

    fn evict_one_of(&mut self, peer: Peer) -> Option<IpAddr> {
        let longest = self.entries.iter().position(|entry| entry.peer == peer && !entry.is_working)?;
        let entry = self.entries.remove(longest);
        entry.eviction.notify_one();
        Some(entry.address)
    }

    /// Puts a connection last in the order of waiting.
    fn turn(&mut self, id: u64, is_working: bool) {
        if let Some(i) = self.entries.iter().position(|entry| entry.id == id) {
            let mut entry = self.entries.remove(i);
            entry.is_working = is_working;
            self.entries.push(entry);
        }
    }
}

impl Ticket {
    /// A request has arrived; tells how many that makes.
    pub(crate) fn begin_request(&self) -> u32 {
        lock(&self.table).turn(self.id, true);
        self.n_requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// The request has its answer.
    pub(crate) fn end_request(&self) {
        lock(&self.table).turn(self.id, false);
    }

    /// Returns when the connection has to make room.
    pub(crate) async fn evicted(&self) {
        self.eviction.notified().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.table).entries.retain(|entry| entry.id != self.id);
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn ticket(admitted: Admitted) -> (Ticket, Option<IpAddr>) {
        match admitted {
            Admitted::Yes { ticket, evicted } => (ticket, evicted),
            Admitted::No => panic!("no room"),
        }
    }

    #[test]
    fn the_one_that_waited_longest_makes_room() {
        let admission = Admission::new(8, 2);
        let (first, _) = ticket(admission.admit(A));
        let (second, _) = ticket(admission.admit(A));
        first.begin_request();
        first.end_request();
        let (_third, evicted) = ticket(admission.admit(A));
        assert_eq!((evicted, admission.count()), (Some(A), 2));
        let mut entries = lock(&admission.table).entries.iter().map(|entry| entry.id).collect::<Vec<_>>();
        entries.sort_unstable();
        assert_eq!(entries, [0, 2], "the second had waited longest");
        drop(second);
        assert_eq!(admission.count(), 2, "it held no place any more");
    }

    #[test]
    fn who_is_at_work_stays_and_the_newest_is_refused() {
        let admission = Admission::new(2, 2);
        let at_work = [A, B].map(|address| ticket(admission.admit(address)).0);
        at_work.iter().for_each(|ticket| assert_eq!(ticket.begin_request(), 1));
        assert!(matches!(admission.admit(A), Admitted::No));
        at_work[0].end_request();
        assert_eq!(ticket(admission.admit(B)).1, Some(A));
    }

    #[test]
    fn who_holds_most_gives_first() {
        let admission = Admission::new(4, 3);
        let _held: Vec<_> = [B, A, A, A].map(|address| ticket(admission.admit(address))).into();
        let (_new, evicted) = ticket(admission.admit(IpAddr::from([10, 0, 0, 3])));
        assert_eq!(evicted, Some(A), "though B had waited longer");
    }

    #[test]
    fn a_place_is_free_again_after_its_connection() {
        let admission = Admission::new(2, 2);
        for _ in 0..100 {
            let _both = [A, A].map(|address| ticket(admission.admit(address)));
        }
        assert_eq!(admission.count(), 0);
    }
}
