//! Chance that depends on nothing but its key: (seed, purpose, epoch, sample, view).
//!
//! Threads, batch size and the order of work cannot change what is drawn. The few distributions needed are written here
//! rather than taken from a library, so that a plan gives the same views under any later version of it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers for one purpose.
pub struct Chance(ChaCha8Rng);

/// What a stream is for; streams with different keys share nothing.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The plan's seed.
    pub seed: u64,
    /// Tells stages apart.
    pub purpose: u32,
    /// Pass over the pool.
    pub epoch: u64,
    /// Position in the pool.
    pub sample: u64,
    /// Which view of the sample.
    pub view: u32,
}

impl Key {
    /// The first key of `purpose`: epoch, sample and view 0. The name is folded to 32 bits (FNV-1a).
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let purpose =
            purpose.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Self { seed, purpose, epoch: 0, sample: 0, view: 0 }
    }

    /// The stream of this key.
    #[must_use]
    pub fn chance(&self) -> Chance {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sample.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.view.to_le_bytes());
        bytes[28..].copy_from_slice(&self.purpose.to_le_bytes());
        Chance(ChaCha8Rng::from_seed(bytes))
    }
}

impl Chance {
    /// Evenly from `low` to `high`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32;
        low + unit * (high - low)
    }

    /// True with probability `p`.
    pub fn coin(&mut self, p: f32) -> bool {
        self.uniform(0.0, 1.0) < p
    }

    /// Evenly from `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "nothing to choose from");
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Every order of `items` equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_gives_one_stream_and_any_other_key_another() {
        let key = Key::new(1, "contrast");
        let draw = |key: Key| key.chance().below(1_000_000);
        assert_eq!(draw(key), draw(key));
        for other in [
            Key { seed: 2, ..key },
            Key { epoch: 1, ..key },
            Key { sample: 1, ..key },
            Key { view: 1, ..key },
            Key::new(1, "distil"),
        ] {
            assert_ne!(draw(key), draw(other), "{other:?}");
        }
    }

    #[test]
    fn shuffling_keeps_every_item_and_moves_some() {
        let mut items: Vec<_> = (0..20).collect();
        Key::new(1, "test").chance().shuffle(&mut items);
        assert_ne!(items, (0..20).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn uniform_fills_its_range_evenly() {
        let mut chance = Key::new(3, "test").chance();
        let draws: Vec<_> = (0..10_000).map(|_| chance.uniform(-1.0, 3.0)).collect();
        assert!(draws.iter().all(|x| (-1.0..3.0).contains(x)));
        let mean = draws.iter().sum::<f32>() / 10_000.0;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }
}
