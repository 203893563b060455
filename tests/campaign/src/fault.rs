//! What a line does to a packet.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// One kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One bit is flipped.
    SingleBit,
    /// Up to 32 bits in a row are random, the first and the last of them flipped.
    ShortBurst,
    /// Up to 200 bytes in a row are random.
    LongBurst,
    ByteDropped,
    ByteRepeated,
    BytesSwapped,
    /// The rest of the packet is missing.
    CutOff,
    PacketDropped,
    PacketRepeated,
    /// The packet arrives after up to four later ones.
    PacketOvertaken,
}

impl Fault {
    pub(crate) const ALL: [Fault; 10] = [
        Fault::SingleBit,
        Fault::ShortBurst,
        Fault::LongBurst,
        Fault::ByteDropped,
        Fault::ByteRepeated,
        Fault::BytesSwapped,
        Fault::CutOff,
        Fault::PacketDropped,
        Fault::PacketRepeated,
        Fault::PacketOvertaken,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::SingleBit => "single bit",
            Fault::ShortBurst => "burst of 2 to 32 bits",
            Fault::LongBurst => "burst of 1 to 200 bytes",
            Fault::ByteDropped => "byte dropped",
            Fault::ByteRepeated => "byte repeated",
            Fault::BytesSwapped => "bytes swapped",
            Fault::CutOff => "packet cut off",
            Fault::PacketDropped => "packet dropped",
            Fault::PacketRepeated => "packet repeated",
            Fault::PacketOvertaken => "packet overtaken",
        }
    }

    /// Changes the bytes of one packet in place; packet faults leave them alone.
    pub(crate) fn damage(self, bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
        let at = rng.random_range(0..bytes.len());
        match self {
            Fault::SingleBit => bytes[at] ^= 1 << rng.random_range(0..8),
            Fault::ShortBurst => short_burst(bytes, rng),
            Fault::LongBurst => {
                let end = bytes.len().min(at + rng.random_range(1..=200));
                rng.fill(&mut bytes[at..end]);
            }
            Fault::ByteDropped => drop(bytes.remove(at)),
            Fault::ByteRepeated => bytes.insert(at, bytes[at]),
            Fault::BytesSwapped => bytes.swap(at, at.saturating_sub(1)),
            Fault::CutOff => bytes.truncate(at),
            Fault::PacketDropped | Fault::PacketRepeated | Fault::PacketOvertaken => {}
        }
    }
}

fn short_burst(bytes: &mut [u8], rng: &mut ChaCha8Rng) {
    let n_bits = bytes.len() * 8;
    let length = rng.random_range(2..=32).min(n_bits);
    let first = rng.random_range(0..=n_bits - length);
    for bit in first..first + length {
        let is_end = bit == first || bit == first + length - 1;
        if is_end || rng.random_bool(0.5) {
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn damaged(fault: Fault, seed: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = (1..=100).collect();
        fault.damage(&mut bytes, &mut ChaCha8Rng::seed_from_u64(seed));
        bytes
    }

    #[test]
    fn faults_do_what_they_are_called() {
        let whole: Vec<u8> = (1..=100).collect();
        for seed in 0..100 {
            let flipped = |bytes: &[u8]| bytes.iter().zip(&whole).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
            assert_eq!(flipped(&damaged(Fault::SingleBit, seed)), 1);
            assert!((2..=32).contains(&flipped(&damaged(Fault::ShortBurst, seed))));
            assert_eq!(damaged(Fault::ByteDropped, seed).len(), 99);
            assert_eq!(damaged(Fault::ByteRepeated, seed).len(), 101);
            assert!(whole.starts_with(&damaged(Fault::CutOff, seed)));
            assert_eq!(damaged(Fault::PacketDropped, seed), whole);
        }
    }
}
