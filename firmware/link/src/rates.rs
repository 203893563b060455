//! The rates a line may run at, and the search for the one in use.

/// Most rates that [`Rates`] holds.
pub const MAX_RATES: usize = 8;

/// Rates in bits a second, ascending, and the one both sides start at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    rates: [u32; MAX_RATES],
    len: usize,
    base: usize,
}

impl Rates {
    /// `rates` in ascending order, `base` among them; `None` when they are not, or none, or more than [`MAX_RATES`].
    pub fn new(base: u32, rates: &[u32]) -> Option<Self> {
        let is_ascending = rates.is_sorted_by(|a, b| a < b) && rates.first().is_some_and(|&rate| rate > 0);
        let base = rates.iter().position(|&rate| rate == base).filter(|_| is_ascending)?;
        let mut held = [0; MAX_RATES];
        held.get_mut(..rates.len())?.copy_from_slice(rates);
        Some(Rates { rates: held, len: rates.len(), base })
    }

    /// The rate both sides start at and come back to.
    pub fn base(&self) -> u32 {
        self.at(self.base)
    }

    /// All rates, ascending.
    pub fn as_slice(&self) -> &[u32] {
        self.rates.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn at(&self, index: usize) -> u32 {
        self.as_slice().get(index).copied().unwrap_or_default()
    }

    pub(crate) fn index_of(&self, baud: u32) -> Option<usize> {
        self.as_slice().iter().position(|&rate| rate == baud)
    }

    pub(crate) fn base_index(&self) -> usize {
        self.base
    }

    pub(crate) fn top_index(&self) -> usize {
        self.len.saturating_sub(1)
    }
}

/// Says at which rate to listen and until when, round and round, until a good packet arrives.
///
/// It starts at the base rate. With a single rate there is nothing to search and it never changes.
#[derive(Clone, Debug)]
pub struct BaudProbe {
    rates: Rates,
    dwell_ms: u64,
    index: usize,
    /// When to go on to the next rate; `None` before the first look at the clock.
    until_ms: Option<u64>,
    is_found: bool,
}

impl BaudProbe {
    /// A search that stays `dwell_ms` milliseconds at each rate: at least twice the time after which the other side repeats itself.
    pub fn new(rates: Rates, dwell_ms: u64) -> Self {
        let index = rates.base_index();
        BaudProbe { rates, dwell_ms: dwell_ms.max(1), index, until_ms: None, is_found: false }
    }

    /// The rate to listen at now.
    pub fn poll(&mut self, now_ms: u64) -> u32 {
        if !self.is_settled() {
            let until_ms = *self.until_ms.get_or_insert_with(|| now_ms.saturating_add(self.dwell_ms));
            if now_ms >= until_ms {
                self.index = if self.index >= self.rates.top_index() { 0 } else { self.index + 1 };
                self.until_ms = Some(now_ms.saturating_add(self.dwell_ms));
            }
        }
        self.baud()
    }

    /// The rate last told.
    pub fn baud(&self) -> u32 {
        self.rates.at(self.index)
    }

    /// When the rate changes next, in the caller's milliseconds; `None` when it does not.
    pub fn until_ms(&self) -> Option<u64> {
        if self.is_settled() { None } else { Some(self.until_ms.unwrap_or(0)) }
    }

    /// Whether the rate is known.
    pub fn is_found(&self) -> bool {
        self.is_found
    }

    /// A good packet has arrived: this rate it is.
    pub fn found(&mut self) {
        self.is_found = true;
        self.until_ms = None;
    }

    /// Nothing good arrives any more: search again, first at the base rate, where a side that restarts begins.
    pub fn lost(&mut self, now_ms: u64) {
        self.index = self.rates.base_index();
        self.is_found = false;
        self.until_ms = Some(now_ms.saturating_add(self.dwell_ms));
    }

    /// Goes to a rate that was agreed on, if it is one of them.
    pub(crate) fn go_to(&mut self, baud: u32) {
        self.index = self.rates.index_of(baud).unwrap_or(self.index);
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.rates
    }

    fn is_settled(&self) -> bool {
        self.is_found || self.rates.top_index() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_ascend_and_hold_their_base() {
        let rates = Rates::new(115_200, &[57_600, 115_200, 921_600]).unwrap();
        assert_eq!((rates.base(), rates.as_slice()), (115_200, &[57_600, 115_200, 921_600][..]));
        assert_eq!(Rates::new(115_200, &[]), None);
        assert_eq!(Rates::new(0, &[0, 115_200]), None);
        assert_eq!(Rates::new(9600, &[115_200]), None);
        assert_eq!(Rates::new(9600, &[9600, 9600]), None);
        assert_eq!(Rates::new(2, &[2, 1]), None);
        assert_eq!(Rates::new(1, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), None);
    }

    #[test]
    fn a_search_begins_at_the_base_and_goes_round() {
        let mut probe = BaudProbe::new(Rates::new(2, &[1, 2, 3]).unwrap(), 100);
        let heard = [0, 99, 100, 199, 200, 300].map(|now_ms| probe.poll(now_ms));
        assert_eq!(heard, [2, 2, 3, 3, 1, 2]);
        assert_eq!(probe.until_ms(), Some(400));
    }

    #[test]
    fn a_search_ends_with_a_good_packet_and_begins_again_after_silence() {
        let mut probe = BaudProbe::new(Rates::new(2, &[1, 2, 3]).unwrap(), 100);
        probe.poll(0);
        probe.poll(100);
        probe.found();
        assert_eq!((probe.poll(5000), probe.until_ms()), (3, None));
        probe.lost(6000);
        assert_eq!((probe.poll(6000), probe.until_ms()), (2, Some(6100)));
    }

    #[test]
    fn a_single_rate_is_no_search() {
        let mut probe = BaudProbe::new(Rates::new(9600, &[9600]).unwrap(), 100);
        assert_eq!((probe.poll(0), probe.poll(1000), probe.until_ms()), (9600, 9600, None));
    }
}
