//! A line in simulated time: what is given to it arrives later, and perhaps not as it was.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::fault::Fault;

pub(crate) const NS_PER_MS: u64 = 1_000_000;
pub(crate) const NS_PER_S: u64 = 1_000_000_000;

/// A line of 8N1, the same in both directions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) baud: u32,
    /// From the last bit on the line to the program behind the port, each way.
    pub(crate) latency_ns: u64,
}

impl Line {
    /// Ten bits a byte.
    pub(crate) fn duration_ns(self, n_bytes: usize) -> u64 {
        n_bytes as u64 * 10 * NS_PER_S / u64::from(self.baud)
    }
}

/// Errors of these kinds, one in so many packets.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) faults: Vec<Fault>,
    pub(crate) one_in: u32,
}

impl Trouble {
    /// A line without errors.
    pub(crate) fn none() -> Self {
        Self { faults: vec![], one_in: 1 }
    }

    /// What happens to the next packet.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Option<Fault> {
        let is_hit = !self.faults.is_empty() && rng.random_ratio(1, self.one_in);
        is_hit.then(|| self.faults[rng.random_range(0..self.faults.len())])
    }
}

/// What arrives at once.
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    /// Whether it is a packet as it was given.
    pub(crate) is_whole: bool,
}

/// How a packet comes to the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Undisturbed,
    /// Whole, but later ones may come before it, or the one before lacks bytes and takes its first ones for them.
    Disturbed,
    /// Damaged, or not at all.
    Spoiled,
}

/// One direction of a line.
#[derive(Default)]
pub(crate) struct Lane {
    /// When the last packet given is out.
    pub(crate) free_ns: u64,
    /// By arrival; the number keeps parcels that arrive together apart.
    under_way: BTreeMap<(u64, u64), Parcel>,
    /// Whether the last packet given lacks bytes.
    is_short: bool,
    pub(crate) n_sent: u64,
    pub(crate) n_hit: u64,
}

impl Lane {
    /// Gives it a packet, which arrives at once when its last bit has.
    pub(crate) fn send(
        &mut self,
        now_ns: u64,
        bytes: &[u8],
        line: Line,
        trouble: &Trouble,
        rng: &mut ChaCha8Rng,
    ) -> Arrival {
        let duration_ns = line.duration_ns(bytes.len());
        self.free_ns = self.free_ns.max(now_ns) + duration_ns;
        let mut arrival_ns = self.free_ns + line.latency_ns;
        let (fault, mut arrived) = (trouble.draw(rng), bytes.to_vec());
        match fault {
            Some(Fault::PacketDropped) => arrived.clear(),
            Some(Fault::PacketRepeated) => self.put(arrival_ns, bytes.to_vec(), true),
            Some(Fault::PacketOvertaken) => arrival_ns += rng.random_range(1..=4) * duration_ns,
            Some(fault) => fault.damage(&mut arrived, rng),
            None => {}
        }
        let is_whole = arrived == bytes;
        let arrival = match fault {
            // A byte too many before or behind it takes nothing away.
            _ if !arrived.windows(bytes.len()).any(|part| part == bytes) => Arrival::Spoiled,
            Some(Fault::PacketOvertaken) => Arrival::Disturbed,
            _ if self.is_short => Arrival::Disturbed,
            _ => Arrival::Undisturbed,
        };
        self.is_short = (1..bytes.len()).contains(&arrived.len());
        self.n_hit += u64::from(fault.is_some());
        self.put(arrival_ns, arrived, is_whole);
        arrival
    }

    /// Gives it a packet without errors, which arrives as ports hand bytes over: `at_a_time`.
    pub(crate) fn send_in_pieces(&mut self, now_ns: u64, bytes: &[u8], line: Line, at_a_time: usize) {
        self.free_ns = self.free_ns.max(now_ns);
        for piece in bytes.chunks(at_a_time) {
            self.free_ns += line.duration_ns(piece.len());
            self.put(self.free_ns + line.latency_ns, piece.to_vec(), true);
        }
    }

    fn put(&mut self, arrival_ns: u64, bytes: Vec<u8>, is_whole: bool) {
        self.n_sent += 1;
        if !bytes.is_empty() {
            self.under_way.insert((arrival_ns, self.n_sent), Parcel { bytes, is_whole });
        }
    }

    /// What has arrived by now, one after the other.
    pub(crate) fn arrived(&mut self, now_ns: u64) -> Option<Parcel> {
        let first = self.under_way.first_entry().filter(|first| first.key().0 <= now_ns)?;
        Some(first.remove())
    }

    /// When something arrives next.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.under_way.first_key_value().map(|((arrival_ns, _), _)| *arrival_ns)
    }
}
