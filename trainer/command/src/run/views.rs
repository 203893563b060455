//! A picture of positive pairs: what the contrastive stage is asked to see as the same.

use remedis_imaging::{Depth, Image, Preprocessing, encode_png, resize};
use remedis_train::{Plan, Pool};
use remedis_views::{Key, view};

/// Columns of the picture.
const N_SHOWN: usize = 10;
/// White space between tiles, in pixels.
const GAP: u32 = 2;

/// Ten training images above two views of each, as PNG. The random streams are the picture's own, not training's.
pub(crate) fn picture(plan: &Plan, pool: &Pool) -> Vec<u8> {
    let (views, input) = (plan.contrast.augment.views(), plan.input.preprocessing());
    let size = [input.width as usize, input.height as usize];
    let seen_by_people = Preprocessing { depth_bits: Depth::Eight, ..input };
    let n = N_SHOWN.min(pool.len());
    let columns: Vec<[Image; 3]> = (0..n)
        .map(|column| {
            let image = pool.images.get(column * pool.len() / n);
            let seen = |number| {
                let key = Key { sample: column as u64, view: number, ..Key::new(plan.seed, "picture") };
                view(&image, size, &views, &mut key.chance()).into_image()
            };
            let plain = resize(&image, &seen_by_people).expect("loading has resized it with this preprocessing");
            [plain, seen(0), seen(1)]
        })
        .collect();
    encode_png(&tile(&columns))
}

/// Lays columns of equally sized images side by side on white.
fn tile(columns: &[[Image; 3]]) -> Image {
    let first = &columns[0][0];
    let (step_x, step_y, channels) = (first.width + GAP, first.height + GAP, first.channels);
    let (width, height) = (step_x * columns.len() as u32 - GAP, step_y * 3 - GAP);
    let mut out = vec![255_u8; (width * height) as usize * channels.count()];
    for (column, images) in columns.iter().enumerate() {
        for (row, image) in images.iter().enumerate() {
            let bytes = image.width as usize * channels.count();
            for (y, line) in image.as_u8().chunks_exact(bytes).enumerate() {
                let at = ((row as u32 * step_y) as usize + y) * width as usize + column * step_x as usize;
                out[at * channels.count()..][..bytes].copy_from_slice(line);
            }
        }
    }
    Image::new(width, height, channels, out)
}

#[cfg(test)]
mod tests {
    use remedis_imaging::Channels;

    use super::*;

    #[test]
    fn tiles_lie_side_by_side_with_white_between() {
        let grey = |value: u8| Image::new(1, 1, Channels::Grey, vec![value]);
        let tiled = tile(&[[grey(1), grey(2), grey(3)], [grey(4), grey(5), grey(6)]]);
        assert_eq!((tiled.width, tiled.height), (4, 7));
        assert_eq!(tiled.as_u8()[..4], [1, 255, 255, 4]);
        assert_eq!(tiled.as_u8()[24..], [3, 255, 255, 6]);
    }
}
