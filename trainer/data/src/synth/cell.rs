//! White blood cells among red ones, as a May-Grünwald-Giemsa stain shows them.
//!
//! Shapes follow the usual descriptions: neutrophil, three to five lobes and fine pale granules; eosinophil, two lobes and
//! orange granules; basophil, coarse dark granules over the nucleus; lymphocyte, a round nucleus nearly filling the cell;
//! monocyte, a large kidney in grey-blue cytoplasm. Every trait varies, and some cells are hard to tell, as in life.

use remedis_imaging::Image;

use super::chance::Chance;
use super::optics::{Camera, Site, Stain};
use super::shape::{Disc, Noise, melted, mix, step};

/// Absorbance in red, green and blue of each dye at full strength.
const NUCLEUS: [f32; 3] = [1.0, 1.3, 0.42];
const RED_CELL: [f32; 3] = [0.1, 0.42, 0.3];
const BASOPHIL_GRANULE: [f32; 3] = [1.35, 1.5, 0.6];
const EOSINOPHIL_GRANULE: [f32; 3] = [0.16, 0.7, 0.78];
const NEUTROPHIL_GRANULE: [f32; 3] = [0.22, 0.42, 0.2];

/// Draws one cell of `class` (a position in [`CELL_CLASSES`](super::CELL_CLASSES)), of a patient of its own.
///
/// The picture is `size` by `size` pixels, in colour and not yet compressed; it depends on the arguments alone.
///
/// # Panics
/// If there is no such class, or `size` is zero.
pub fn draw_cell(class: usize, seed: u64, site: Site, size: u32) -> Image {
    draw(class, seed, u64::MAX, u64::MAX, site, size)
}

/// As [`draw_cell`], with the patient who lends the stain and the number of the picture.
pub(super) fn draw(class: usize, seed: u64, patient: u64, number: u64, site: Site, size: u32) -> Image {
    assert!(size > 0 && class < super::CELL_CLASSES.len(), "class {class} at {size} pixels");
    let stain = Stain::of_patient(site, &mut Chance::new(seed, site.name(), patient));
    let mut chance = Chance::new(seed, "cell", site.number() << 56 ^ (class as u64) << 48 ^ number);
    let unit = size as f32 / 64.0 * site.magnification();
    let scene = Scene::new(class, size as f32 / 2.0, unit, &mut chance);
    let camera = Camera::of_image(site, size, &mut chance);
    let light: Vec<[f32; 3]> = (0..size * size)
        .map(|at| stain.transmit(scene.absorbance((at % size) as f32 + 0.5, (at / size) as f32 + 0.5, &stain)))
        .collect();
    camera.expose(&light, size, &mut chance)
}

struct RedCell {
    rim: Disc,
    pallor: f32,
    strength: f32,
}

struct Scene {
    unit: f32,
    cell: Disc,
    wobble: [f32; 3],
    cytoplasm: [f32; 3],
    lobes: Vec<Disc>,
    notch: Option<Disc>,
    softness: f32,
    nucleus_strength: f32,
    clumping: f32,
    granules: Vec<(Disc, f32)>,
    granule: [f32; 3],
    red_cells: Vec<RedCell>,
    chromatin: Noise,
    smear: Noise,
}

impl Scene {
    fn new(class: usize, middle: f32, unit: f32, chance: &mut Chance) -> Self {
        // How closely the cell follows its description.
        let typical = chance.uniform(0.0, 1.0);
        let radius = [17.0, 18.5, 15.0, 20.5, 18.5][class] * (1.0 + 0.1 * chance.normal()) * unit;
        let cell = Disc {
            x: middle + 3.5 * unit * chance.normal(),
            y: middle + 3.5 * unit * chance.normal(),
            radius: if class == 2 && chance.coin(0.25) { radius * 1.25 } else { radius },
        };
        let (lobes, notch) = nucleus(class, cell, typical, chance);
        let grey_blue = [0.4, 0.36, 0.2];
        let plain = [0.16, 0.26, 0.16];
        let own = [[0.3, 0.36, 0.16], [0.14, 0.36, 0.26], [0.46, 0.3, 0.08], grey_blue, [0.13, 0.26, 0.15]][class];
        let tint = 0.35 + 0.65 * typical;
        let cytoplasm = std::array::from_fn(|colour| mix(plain[colour], own[colour], tint));
        let (count, size, strength, granule) = match class {
            0 => (46, 1.5, 0.95, BASOPHIL_GRANULE),
            1 => (120, 1.15, 0.9, EOSINOPHIL_GRANULE),
            4 => (110, 0.75, 0.5, NEUTROPHIL_GRANULE),
            3 => (30, 0.6, 0.4, NEUTROPHIL_GRANULE),
            _ => (5, 0.7, 0.5, NEUTROPHIL_GRANULE),
        };
        // Granules of a poorly stained cell are fewer and paler.
        let (count, strength) = ((count as f32 * mix(0.35, 1.0, typical)) as usize, strength * mix(0.3, 1.0, typical));
        let granules = (0..count)
            .map(|_| {
                let (angle, out) = (chance.uniform(0.0, std::f32::consts::TAU), chance.uniform(0.0, 0.86).sqrt());
                let place = Disc {
                    x: cell.x + angle.cos() * out * cell.radius,
                    y: cell.y + angle.sin() * out * cell.radius,
                    radius: size * unit * chance.uniform(0.7, 1.3),
                };
                (place, strength * chance.uniform(0.6, 1.2))
            })
            .collect();
        Self {
            unit,
            cell,
            wobble: [chance.uniform(0.0, 6.3), chance.uniform(0.0, 6.3), chance.uniform(0.01, 0.07)],
            cytoplasm,
            lobes,
            notch,
            softness: unit * if class == 4 { 2.2 } else { 3.5 },
            nucleus_strength: [0.75, 0.95, 1.15, 0.82, 1.05][class] * (1.0 + 0.12 * chance.normal()),
            clumping: [0.3, 0.35, 0.25, 0.45, 0.4][class],
            granules,
            granule,
            red_cells: red_cells(cell, middle, unit, chance),
            chromatin: Noise::new(chance),
            smear: Noise::new(chance),
        }
    }

    fn absorbance(&self, x: f32, y: f32, stain: &Stain) -> [f32; 3] {
        let mut sum = [0.0; 3];
        let mut add = |dye: [f32; 3], amount: f32| (0..3).for_each(|colour| sum[colour] += dye[colour] * amount);
        let edge = 0.8 * self.unit;
        let angle = (y - self.cell.y).atan2(x - self.cell.x);
        let [first, second, depth] = self.wobble;
        let wobble = 1.0 + depth * ((2.0 * angle + first).sin() + 0.6 * (3.0 * angle + second).sin());
        let rim = Disc { radius: self.cell.radius * wobble, ..self.cell }.distance(x, y);
        let inside = step(edge, -edge, rim);
        for red in &self.red_cells {
            let distance = red.rim.distance(x, y);
            let hollow = step(-0.25 * red.rim.radius, -0.95 * red.rim.radius, distance) * red.pallor;
            let amount = step(edge, -edge, distance) * (1.0 - hollow) * (1.0 - inside);
            add(RED_CELL, amount * red.strength * stain.eosin);
        }
        let grain = self.smear.fractal(x / self.unit / 9.0, y / self.unit / 9.0);
        add([0.04, 0.05, 0.04], grain);
        if inside <= 0.0 {
            return sum;
        }
        let membrane = step(-2.5 * self.unit, 0.0, rim) * 0.25;
        add(self.cytoplasm, inside * (0.7 + 0.6 * grain + membrane) * mix(stain.azure, stain.eosin, 0.4));
        let mut nucleus = melted(&self.lobes, x, y, self.softness);
        if let Some(notch) = self.notch {
            nucleus = nucleus.max(-notch.distance(x, y));
        }
        let nucleus = step(edge, -edge, nucleus + (grain - 0.5) * 2.0 * self.unit) * inside;
        let chromatin = self.chromatin.fractal(x / self.unit / 4.5, y / self.unit / 4.5);
        add(
            NUCLEUS,
            nucleus * self.nucleus_strength * (1.0 - self.clumping + 2.0 * self.clumping * chromatin) * stain.azure,
        );
        let is_dark = self.granule == BASOPHIL_GRANULE;
        let dye = if is_dark { stain.azure } else { stain.eosin };
        let shown = if is_dark { 1.0 } else { 1.0 - 0.85 * nucleus };
        for (place, strength) in &self.granules {
            let amount = step(0.5 * self.unit, -0.5 * self.unit, place.distance(x, y));
            add(self.granule, amount * strength * inside * shown * dye * 0.8);
        }
        sum
    }
}

/// Lobes of the nucleus and the bite out of it.
fn nucleus(class: usize, cell: Disc, typical: f32, chance: &mut Chance) -> (Vec<Disc>, Option<Disc>) {
    let turn = chance.uniform(0.0, std::f32::consts::TAU);
    let at = |angle: f32, out: f32, radius: f32| Disc {
        x: cell.x + (turn + angle).cos() * out * cell.radius,
        y: cell.y + (turn + angle).sin() * out * cell.radius,
        radius: radius * cell.radius,
    };
    let mut lobed = |count: u32, arc: f32, out: f32, radius: f32| -> Vec<Disc> {
        (0..count)
            .map(|lobe| {
                let angle = arc * (lobe as f32 / (count - 1).max(1) as f32 - 0.5) + 0.15 * chance.normal();
                at(angle, out * chance.uniform(0.85, 1.15), radius * chance.uniform(0.85, 1.15))
            })
            .collect()
    };
    match class {
        0 => (lobed(3, 2.6, 0.3, 0.4), None),
        1 => (lobed(if typical < 0.3 { 3 } else { 2 }, mix(3.4, 2.4, typical), 0.45, mix(0.3, 0.36, typical)), None),
        2 => {
            let fill = mix(0.62, 0.84, typical);
            (vec![at(0.0, chance.uniform(0.0, 0.1), fill)], None)
        }
        3 => {
            let bite = at(0.0, chance.uniform(0.55, 0.75), mix(0.22, 0.42, typical));
            (vec![at(3.1, 0.08, 0.66), at(1.4, 0.3, 0.4), at(-1.4, 0.3, 0.4)], Some(bite))
        }
        _ => {
            // A young cell has a band in place of lobes.
            let is_band = typical < 0.35;
            if is_band {
                (lobed(7, 3.6, 0.48, 0.23), None)
            } else {
                let count = 2 + u32::from(typical > 0.42) + u32::from(typical > 0.65) + u32::from(typical > 0.88);
                (lobed(count, 3.9, 0.5, 0.27), None)
            }
        }
    }
}

fn red_cells(cell: Disc, middle: f32, unit: f32, chance: &mut Chance) -> Vec<RedCell> {
    let count = 3 + chance.below(6);
    let mut red_cells: Vec<RedCell> = Vec::new();
    for _ in 0..count * 4 {
        let radius = 11.0 * unit * (1.0 + 0.08 * chance.normal());
        let spread = 1.25 * middle;
        let rim =
            Disc { x: middle + chance.uniform(-spread, spread), y: middle + chance.uniform(-spread, spread), radius };
        let is_free = red_cells.iter().all(|other| rim.distance(other.rim.x, other.rim.y) > 0.55 * radius);
        if red_cells.len() < count as usize && is_free && rim.distance(cell.x, cell.y) > 0.6 * cell.radius {
            red_cells.push(RedCell { rim, pallor: chance.uniform(0.3, 0.8), strength: chance.uniform(0.75, 1.15) });
        }
    }
    red_cells
}
