//! Batches: which images a step sees, and their views as numbers.
//!
//! Nothing here has a state. What step `n` sees follows from the seed and `n`, so a resumed run repeats and skips nothing,
//! and any number of threads makes the same batch.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use remedis_imaging::Preprocessing;
use remedis_views::{Key, Views, view};

use crate::pool::Pool;

/// One place in the stream of images: `index` into the pool, seen in pass `epoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) epoch: u64,
    pub(crate) index: usize,
}

/// The images of step `step` (from 0) when `n_images` are walked in a new random order each pass, over and over.
///
/// A batch that begins in one pass may end in the next; every image is seen once a pass.
pub(crate) fn draw_batch(key: Key, n_images: usize, batch: usize, step: u64) -> Vec<Draw> {
    let first = step * batch as u64;
    let mut order = (u64::MAX, Vec::new());
    (first..first + batch as u64)
        .map(|place| {
            let epoch = place / n_images as u64;
            if order.0 != epoch {
                order = (epoch, permutation(key, epoch, n_images));
            }
            Draw { epoch, index: order.1[(place % n_images as u64) as usize] }
        })
        .collect()
}

/// A random order of `0..n` for one pass.
pub(crate) fn permutation(key: Key, epoch: u64, n: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..n).collect();
    Key { epoch, sample: u64::MAX, ..key }.chance().shuffle(&mut order);
    order
}

/// One view of each drawn image as a network sees it, made on all threads, order kept: `[image, channel, height, width]`.
pub(crate) fn views_of(
    pool: &Pool,
    draws: &[Draw],
    view_index: u32,
    views: &Views,
    key: Key,
    preprocessing: &Preprocessing,
) -> Vec<f32> {
    let size = [preprocessing.width as usize, preprocessing.height as usize];
    let values = preprocessing.channels.count() * size[0] * size[1];
    let mut batch = vec![0.0; draws.len() * values];
    batch.par_chunks_exact_mut(values).zip(draws).for_each(|(to, draw)| {
        let key = Key { epoch: draw.epoch, sample: draw.index as u64, view: view_index, ..key };
        let view = view(&pool.images.get(draw.index), size, views, &mut key.chance());
        to.copy_from_slice(&view.into_input(preprocessing));
    });
    batch
}

/// Prepared images as one tensor `[batch, channel, height, width]`.
pub(crate) fn to_tensor(batch: Vec<f32>, preprocessing: &Preprocessing, device: &Device) -> Tensor<4> {
    let image = [preprocessing.channels.count(), preprocessing.height as usize, preprocessing.width as usize];
    let count = batch.len() / image.iter().product::<usize>();
    Tensor::from_data(TensorData::new(batch, [count, image[0], image[1], image[2]]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(steps: std::ops::Range<u64>) -> Vec<usize> {
        let key = Key::new(1, "test");
        steps.flat_map(|step| draw_batch(key, 10, 4, step)).map(|draw| draw.index).collect()
    }

    #[test]
    fn every_image_is_seen_once_a_pass_across_batch_borders() {
        let seen = walk(0..5);
        for pass in seen.chunks(10) {
            let mut sorted = pass.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(seen[..10], seen[10..]);
    }

    #[test]
    fn a_later_step_needs_no_earlier_one() {
        assert_eq!(walk(0..5)[12..], walk(3..5));
    }

    #[test]
    fn a_batch_larger_than_the_pool_goes_round() {
        let draws = draw_batch(Key::new(1, "test"), 3, 7, 0);
        assert_eq!(draws.iter().map(|draw| draw.epoch).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 1, 2]);
    }
}
