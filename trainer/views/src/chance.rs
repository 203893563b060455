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

    /// Normally distributed, mean 0, standard deviation 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - self.uniform(0.0, 1.0)));
        radius * libm::cosf(self.uniform(0.0, std::f32::consts::TAU))
    }

    /// From the symmetric beta distribution of `alpha`, at most 1 (Jöhnk 1964), as mixup draws its weights.
    ///
    /// # Panics
    /// If `alpha` is not in (0, 1].
    pub fn beta(&mut self, alpha: f32) -> f32 {
        assert!(alpha > 0.0 && alpha <= 1.0, "alpha {alpha} is not in (0, 1]");
        // In logarithms, as powers of 1 / alpha underflow.
        loop {
            let mut log_power = || libm::logf(1.0 - self.uniform(0.0, 1.0)) / alpha;
            let (x, y) = (log_power(), log_power());
            let high = x.max(y);
            let log_sum = high + libm::logf(libm::expf(x - high) + libm::expf(y - high));
            if log_sum <= 0.0 {
                return libm::expf(x - log_sum);
            }
        }
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

    #[test]
    fn normal_and_beta_draws_have_the_moments_of_their_distributions() {
        let mut chance = Key::new(4, "test").chance();
        let moments = |draws: Vec<f32>| {
            let mean = draws.iter().sum::<f32>() / draws.len() as f32;
            (mean, draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / draws.len() as f32)
        };
        let (mean, variance) = moments((0..20_000).map(|_| chance.normal()).collect());
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        for alpha in [0.1, 0.4, 1.0] {
            // Of a symmetric beta distribution: 1/2 and 1 / (4 (2 alpha + 1)).
            let (mean, variance) = moments((0..20_000).map(|_| chance.beta(alpha)).collect());
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.02 && (variance - expected).abs() < 0.01, "{alpha}: {mean} {variance}");
        }
    }
}
