//! Where the model looked: a coarse grid, laid over the image as a tint and an outline.

use embedded_graphics::{pixelcolor::Rgb888, prelude::*, primitives::Rectangle};

/// Borrowed relevance for the class decided on: a coarse grid over what the model saw of the image.
#[derive(Clone, Copy, Debug)]
pub struct HeatMap<'a> {
    columns: u32,
    rows: u32,
    relevance: &'a [u8],
    /// Left, top, right and bottom of what it covers, in [`WHOLE`]ths of the image.
    edges: [u32; 4],
}

/// All of the image's width or height. Whole numbers keep pages the same on every processor.
const WHOLE: u32 = 1 << 16;

/// From this relevance on a place is outlined.
const OUTLINED: u8 = 128;

/// Blue and yellow of Okabe and Ito 2008: apart in hue and in lightness for every common kind of colour blindness.
const COLD: [u8; 3] = [0, 114, 178];
const HOT: [u8; 3] = [240, 228, 66];

/// How much of the image the tint covers at most, of 255: the image stays visible.
const STRONGEST: u32 = 140;

impl<'a> HeatMap<'a> {
    /// A grid of `columns` x `rows` cells over the whole image, rows from the top, 0 for no relevance to 255 for the
    /// highest; `None` when it is empty or `relevance` has another length.
    pub fn new(columns: u32, rows: u32, relevance: &'a [u8]) -> Option<Self> {
        let n_cells = (columns as usize).checked_mul(rows as usize)?;
        let edges = [0, 0, WHOLE, WHOLE];
        (n_cells > 0 && relevance.len() == n_cells).then_some(Self { columns, rows, relevance, edges })
    }

    /// The same grid over a part of the image, such as the middle that a model crops: left, top, width and height as
    /// shares of the image. `None` when the part is empty, or leaves the image by more than rounding.
    pub fn over_part(self, [left, top, width, height]: [f32; 4]) -> Option<Self> {
        // `f32::round` is of std alone: half is added and the rest cut off.
        let edges = [left, top, left + width, top + height].map(|share| {
            let edge = share * WHOLE as f32;
            (edge + 0.5_f32.copysign(edge)) as i64
        });
        let is_near = |edge: &i64| (-1..=i64::from(WHOLE) + 1).contains(edge);
        let is_part = edges.iter().all(is_near) && edges[0] < edges[2] && edges[1] < edges[3];
        let edges = edges.map(|edge| edge.clamp(0, i64::from(WHOLE)) as u32);
        is_part.then_some(Self { edges, ..self })
    }

    /// The pixels that it covers of an image of `size`: one at least.
    pub(super) fn place(&self, size: Size) -> Rectangle {
        let pixel = |edge: u32, side: u32| {
            ((u64::from(edge) * u64::from(side) + u64::from(WHOLE / 2)) / u64::from(WHOLE)) as u32
        };
        let [left, top, right, bottom] = self.edges;
        let (left, right) = (pixel(left, size.width), pixel(right, size.width));
        let (top, bottom) = (pixel(top, size.height), pixel(bottom, size.height));
        let corner = Point::new(left.cast_signed(), top.cast_signed());
        Rectangle::new(corner, Size::new((right - left).max(1), (bottom - top).max(1)))
    }

    /// Relevance at pixel `point`, linear between the middles of the cells of the map that covers `place`; beyond it
    /// as at its edge.
    fn at(&self, point: Point, place: Rectangle) -> u8 {
        let (point, size) = (point - place.top_left, place.size);
        let (x, y) = (cell(point.x, size.width, self.columns), cell(point.y, size.height, self.rows));
        let value = |column: u32, row: u32| {
            let index = row as usize * self.columns as usize + column as usize;
            u32::from(self.relevance.get(index).copied().unwrap_or(0))
        };
        let along = |row: u32| value(x.0, row) * (256 - x.2) + value(x.1, row) * x.2;
        let sum = along(y.0) * (256 - y.2) + along(y.1) * y.2;
        ((sum + (1 << 15)) >> 16) as u8
    }

    /// `colour` of the image at pixel `point` with the relevance there over it, where the map covers `place`; what the
    /// model did not see stays as it is.
    ///
    /// The outline between places of half the highest relevance or more and the rest is light inside and dark outside,
    /// each `stroke` pixels wide, so that it shows on any image.
    pub(super) fn over(&self, colour: Rgb888, point: Point, place: Rectangle, stroke: i32) -> Rgb888 {
        if !place.contains(point) {
            return colour;
        }
        let relevance = self.at(point, place);
        let is_inside = relevance >= OUTLINED;
        let steps = [Point::new(stroke, 0), Point::new(-stroke, 0), Point::new(0, stroke), Point::new(0, -stroke)];
        if steps.into_iter().any(|step| (self.at(point + step, place) >= OUTLINED) != is_inside) {
            return if is_inside { Rgb888::WHITE } else { Rgb888::BLACK };
        }
        tinted(colour, relevance)
    }
}

/// The two cells between whose middles a pixel lies, and how far from the first to the second in 1/256.
fn cell(pixel: i32, n_pixels: u32, n_cells: u32) -> (u32, u32, u32) {
    let pixel = u64::from(pixel.max(0).cast_unsigned());
    let middle = (2 * pixel + 1) * u64::from(n_cells) * 256 / (2 * u64::from(n_pixels.max(1)));
    let last = n_cells - 1;
    let place = middle.saturating_sub(128).min(u64::from(last) * 256);
    let first = (place / 256) as u32;
    (first, (first + 1).min(last), (place % 256) as u32)
}

/// Tints `colour`: the more relevant, the yellower and the stronger.
fn tinted(colour: Rgb888, relevance: u8) -> Rgb888 {
    let hot = u32::from(relevance);
    let cover = hot * STRONGEST / 255;
    let mix = |under: u8, cold: u8, hottest: u8| {
        let tint = (u32::from(cold) * (255 - hot) + u32::from(hottest) * hot) / 255;
        ((u32::from(under) * (255 - cover) + tint * cover + 127) / 255) as u8
    };
    let channels = [colour.r(), colour.g(), colour.b()];
    let [red, green, blue] = [0, 1, 2].map(|i: usize| mix(channels[i], COLD[i], HOT[i]));
    Rgb888::new(red, green, blue)
}

/// The scale of a heat-map: from no relevance at the left to the highest at the right, over grey, with the place of the
/// outline marked.
pub(crate) fn draw_ramp<D: DrawTarget<Color = Rgb888>>(area: Rectangle, target: &mut D) -> Result<(), D::Error> {
    let width = area.size.width.max(1);
    let outline = width * u32::from(OUTLINED) / 255;
    let stroke = (width / 60).max(1);
    let pixels = (0..area.size.height).flat_map(|_| {
        (0..width).map(|x| match x {
            x if (outline.saturating_sub(stroke)..outline).contains(&x) => Rgb888::BLACK,
            x if (outline..outline + stroke).contains(&x) => Rgb888::WHITE,
            x => tinted(Rgb888::new(128, 128, 128), (255 * x / (width - 1).max(1)) as u8),
        })
    });
    target.fill_contiguous(&area, pixels)
}
