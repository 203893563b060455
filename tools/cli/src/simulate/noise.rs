//! A line made worse on purpose, the same way for the same seed.

use super::line::Line;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io;
use std::time::Duration;

/// How bytes are damaged.
pub(crate) struct Noise {
    flip: f64,
    drop: f64,
    rng: ChaCha8Rng,
}

impl Noise {
    /// `flip` is the probability for a bit, `drop` for a byte.
    pub(crate) fn new(flip: f64, drop: f64, seed: u64) -> Self {
        Noise { flip, drop, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// What arrives of `bytes`.
    pub(crate) fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        if self.flip == 0.0 && self.drop == 0.0 {
            return bytes.to_vec();
        }
        let mut arrived = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.rng.random_bool(self.drop) {
                continue;
            }
            let flips = (0..8).fold(0, |mask, bit| mask | (u8::from(self.rng.random_bool(self.flip)) << bit));
            arrived.push(byte ^ flips);
        }
        arrived
    }
}

/// A line with noise in both directions. Counts the bytes before damage.
pub(crate) struct Noisy<L> {
    line: L,
    noise: Noise,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

impl<L: Line> Noisy<L> {
    pub(crate) fn new(line: L, noise: Noise) -> Self {
        Noisy { line, noise, bytes_sent: 0, bytes_received: 0 }
    }

    pub(crate) fn read(&mut self, patience: Duration) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 4096];
        let n = self.line.read(&mut buffer, patience)?;
        self.bytes_received += n as u64;
        Ok(self.noise.damage(buffer.get(..n).unwrap_or_default()))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes_sent += bytes.len() as u64;
        self.line.write(&self.noise.damage(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_damages_the_same_bytes() {
        let damaged = |seed| Noise::new(0.01, 0.01, seed).damage(&[0x55; 1000]);
        assert_eq!(damaged(1), damaged(1));
        assert_ne!(damaged(1), damaged(2));
        assert!(damaged(1).len() < 1000);
    }

    #[test]
    fn without_noise_bytes_pass_unchanged() {
        assert_eq!(Noise::new(0.0, 0.0, 0).damage(b"frame"), b"frame");
    }
}
