//! Patterns and shapes that stand in for natural images: something to learn edges, colours and textures from.

use std::f32::consts::{PI, TAU};

use remedis_imaging::{Channels, Image};

use super::chance::Chance;
use super::shape::{Disc, Noise, mix, step};

/// Names of the pattern classes.
pub(super) const CLASSES: [&str; 14] = [
    "blobs",
    "bricks",
    "checks",
    "crosshatch",
    "dots",
    "fractal",
    "gradient",
    "leaf",
    "polygon",
    "rings",
    "star",
    "stripes",
    "voronoi",
    "waves",
];

/// Where and how a pattern is laid.
struct Lay {
    turn: (f32, f32),
    middle: (f32, f32),
    period: f32,
    duty: f32,
    edge: f32,
    corners: f32,
    bend: f32,
    noise: Noise,
    points: Vec<Disc>,
}

/// Draws picture `number` of `class`.
pub(super) fn draw(class: usize, seed: u64, number: u64, size: u32) -> Image {
    let mut chance = Chance::new(seed, "pattern", number);
    let unit = size as f32 / 64.0;
    let turn = chance.uniform(0.0, TAU);
    let lay = Lay {
        turn: (turn.cos(), turn.sin()),
        middle: (chance.uniform(0.3, 0.7) * 64.0, chance.uniform(0.3, 0.7) * 64.0),
        period: chance.uniform(6.0, 20.0),
        duty: chance.uniform(0.3, 0.7),
        edge: chance.uniform(0.5, 1.6),
        corners: 3.0 + chance.below(4) as f32,
        bend: chance.uniform(0.5, 1.5),
        noise: Noise::new(&mut chance),
        points: (0..14)
            .map(|_| Disc {
                x: chance.uniform(-4.0, 68.0),
                y: chance.uniform(-4.0, 68.0),
                radius: chance.uniform(3.0, 9.0),
            })
            .collect(),
    };
    let mut colour = || -> [f32; 3] { std::array::from_fn(|_| chance.uniform(0.05, 0.95)) };
    let (front, mut back) = (colour(), colour());
    // Two colours that cannot be told apart show no pattern.
    let apart: f32 = front.iter().zip(&back).map(|(a, b)| (a - b).abs()).sum();
    if apart < 0.5 {
        back = front.map(|value| if value > 0.5 { value - 0.4 } else { value + 0.4 });
    }
    let clutter = Noise::new(&mut chance);
    let (roughness, grain) = (chance.uniform(0.0, 0.5), chance.uniform(0.01, 0.06));
    let shade = (chance.uniform(-0.25, 0.25), chance.uniform(-0.25, 0.25));
    let mut pixels = Vec::with_capacity((size * size * 3) as usize);
    for at in 0..size * size {
        let (x, y) = (((at % size) as f32 + 0.5) / unit, ((at / size) as f32 + 0.5) / unit);
        let share = lay.value(class, x, y).clamp(0.0, 1.0);
        let light = 1.0 + shade.0 * (x / 32.0 - 1.0) + shade.1 * (y / 32.0 - 1.0);
        let rough = 1.0 + roughness * (clutter.fractal(x / 14.0, y / 14.0) - 0.5);
        for colour in 0..3 {
            let value = mix(back[colour], front[colour], share) * light * rough + grain * chance.normal();
            pixels.push((value * 255.0).round().clamp(0.0, 255.0) as u8);
        }
    }
    Image::new(size, size, Channels::Rgb, pixels)
}

impl Lay {
    /// 1 for the front colour, 0 for the back one; `x` and `y` in 64ths of the side.
    fn value(&self, class: usize, x: f32, y: f32) -> f32 {
        let (dx, dy) = (x - self.middle.0, y - self.middle.1);
        let (u, v) = (dx * self.turn.0 + dy * self.turn.1, dy * self.turn.0 - dx * self.turn.1);
        let (distance, angle) = (u.hypot(v), v.atan2(u));
        let size = 14.0 + self.period * 0.6;
        let fill = |inside: f32| step(-self.edge, self.edge, inside);
        match CLASSES[class] {
            "blobs" => {
                let sum: f32 = self.points.iter().map(|d| (-(x - d.x).hypot(y - d.y) / d.radius).exp()).sum();
                fill((sum - 0.55) * 12.0)
            }
            "bricks" => {
                let row = (v / self.period).floor();
                let along = u + if row as i32 % 2 == 0 { 0.0 } else { self.period };
                let joint = self.wave(v, self.period).min(self.wave(along, 2.0 * self.period));
                fill(joint - 1.2 * self.bend)
            }
            "checks" => {
                let sign = (u * PI / self.period).sin() * (v * PI / self.period).sin();
                fill(sign * self.period * 0.4)
            }
            "crosshatch" => {
                let line = self.wave(u, self.period).min(self.wave(v, self.period * self.bend));
                1.0 - fill(line - 1.0)
            }
            "dots" => {
                let near = self.wave(u, self.period).hypot(self.wave(v, self.period));
                fill(self.duty * self.period * 0.55 - near)
            }
            "fractal" => ((self.noise.fractal(x / self.period, y / self.period) - 0.5) * 4.0 * self.bend) + 0.5,
            "gradient" => 0.5 + u / 64.0 * self.bend * 1.3,
            "leaf" => {
                let along = (u / (size * 1.3)).clamp(-1.0, 1.0);
                let half = size * 0.6 * (1.0 - along * along) * (1.0 - 0.4 * along);
                let vein = (v.abs()).min(((u - v.abs()) * 0.7 / 4.0).fract().abs() * 4.0 + 0.4);
                fill(half - v.abs()) * mix(0.55, 1.0, step(0.2, 1.2, vein))
            }
            "polygon" => {
                let sector = TAU / self.corners;
                let within = (angle + PI).rem_euclid(sector) - sector / 2.0;
                fill(size * (sector / 2.0).cos() - distance * within.cos())
            }
            "rings" => fill((distance * TAU / self.period).sin() * self.period * 0.3 + (self.duty - 0.5) * 3.0),
            "star" => {
                let points = self.corners + 2.0;
                let within = ((angle * points / TAU).rem_euclid(1.0) - 0.5).abs() * 2.0;
                fill(size * mix(0.4, 1.15, within) - distance)
            }
            "stripes" => fill((u * TAU / self.period).sin() * self.period * 0.3 + (self.duty - 0.5) * 3.0),
            "voronoi" => {
                let (mut nearest, mut second) = (f32::INFINITY, f32::INFINITY);
                for point in &self.points {
                    let away = (x - point.x).hypot(y - point.y);
                    if away < nearest {
                        (nearest, second) = (away, nearest);
                    } else {
                        second = second.min(away);
                    }
                }
                fill(second - nearest - 1.2 * self.bend)
            }
            _ => {
                let bent = v + 4.0 * self.bend * (u * TAU / (self.period * 1.8)).sin();
                fill((bent * TAU / self.period).sin() * self.period * 0.3)
            }
        }
    }

    /// Distance to the nearest multiple of `period`.
    fn wave(&self, along: f32, period: f32) -> f32 {
        let within = along.rem_euclid(period);
        within.min(period - within)
    }
}
