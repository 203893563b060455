//! Distances and textures that cells and patterns are drawn with.

use super::chance::Chance;

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn step(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(super) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

/// Smooth noise between 0 and 1, by interpolating hashed values on a grid of side 1.
#[derive(Clone, Copy)]
pub(super) struct Noise(u32);

impl Noise {
    pub(super) fn new(chance: &mut Chance) -> Self {
        Self(chance.below(u32::MAX))
    }

    fn corner(self, x: i32, y: i32) -> f32 {
        let mut hash =
            self.0 ^ x.cast_unsigned().wrapping_mul(0x9e37_79b1) ^ y.cast_unsigned().wrapping_mul(0x85eb_ca77);
        hash = (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d);
        hash = (hash ^ hash >> 12).wrapping_mul(0x297a_2d39);
        ((hash ^ hash >> 15) >> 8) as f32 / (1 << 24) as f32
    }

    pub(super) fn at(self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (step(0.0, 1.0, x - left), step(0.0, 1.0, y - top));
        let (left, top) = (left as i32, top as i32);
        let upper = mix(self.corner(left, top), self.corner(left + 1, top), u);
        let lower = mix(self.corner(left, top + 1), self.corner(left + 1, top + 1), u);
        mix(upper, lower, v)
    }

    /// Four octaves, halving in size and weight.
    pub(super) fn fractal(self, x: f32, y: f32) -> f32 {
        let octave = |power: i32, weight: f32| {
            let scale = (1 << power) as f32;
            weight * Self(self.0.wrapping_add(power.cast_unsigned())).at(x * scale, y * scale)
        };
        (octave(0, 8.0) + octave(1, 4.0) + octave(2, 2.0) + octave(3, 1.0)) / 15.0
    }
}

/// A disc.
#[derive(Clone, Copy)]
pub(super) struct Disc {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) radius: f32,
}

impl Disc {
    /// Distance to the rim, negative inside.
    pub(super) fn distance(self, x: f32, y: f32) -> f32 {
        (x - self.x).hypot(y - self.y) - self.radius
    }
}

/// Distance to discs melted together over `softness` pixels.
pub(super) fn melted(discs: &[Disc], x: f32, y: f32, softness: f32) -> f32 {
    discs.iter().map(|disc| disc.distance(x, y)).fold(f32::INFINITY, |nearest, distance| {
        if nearest.is_infinite() {
            return distance;
        }
        let share = (0.5 + 0.5 * (distance - nearest) / softness).clamp(0.0, 1.0);
        mix(distance, nearest, share) - softness * share * (1.0 - share)
    })
}
