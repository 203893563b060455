//! What the contrastive losses share: how alike anchors and all views are.
//!
//! `all` holds the first views of a batch and then, in the same order, the second ones. Anchors are rows of it, one after the
//! other; a process among several has only its own as anchors, and everybody's views to tell them from.

use burn::tensor::{Int, Tensor, TensorData};

/// Leaves a similarity no probability and no gradient.
const NEVER: f32 = -1e9;

/// Anchors against all views.
pub(super) struct Similarities {
    /// Inner products divided by the temperature, `[anchor, view]`.
    pub(super) values: Tensor<2>,
    first_anchor: usize,
}

impl Similarities {
    /// # Panics
    /// If anchors and views differ in length, the views are not two of each image, anchors reach beyond them, or `temperature`
    /// is not positive.
    pub(super) fn new(anchors: Tensor<2>, first_anchor: usize, all: Tensor<2>, temperature: f64) -> Self {
        let ([n, width], [views, all_width]) = (anchors.dims(), all.dims());
        assert_eq!(width, all_width, "anchors and views differ in length");
        assert!(views.is_multiple_of(2), "{views} views are not two of each image");
        assert!(first_anchor + n <= views, "anchors {first_anchor} to {} of {views} views", first_anchor + n);
        assert!(temperature > 0.0, "temperature is {temperature}, expected a positive number");
        Self { values: anchors.matmul(all.transpose()).div_scalar(temperature), first_anchor }
    }

    /// The other view of each anchor's image: `[anchor, 1]`.
    pub(super) fn partners(&self) -> Tensor<2, Int> {
        let n = self.values.dims()[0];
        let partners: Vec<i64> = (0..n).map(|anchor| self.partner(anchor) as i64).collect();
        Tensor::from_data(TensorData::new(partners, [n, 1]), &self.values.device())
    }

    /// The similarities without those of anchors with themselves.
    pub(super) fn with_others(&self) -> Tensor<2> {
        self.masked(|row, anchor| row[self.first_anchor + anchor] = NEVER)
    }

    /// The similarities with views of other images alone.
    pub(super) fn with_negatives(&self) -> Tensor<2> {
        self.masked(|row, anchor| {
            row[self.first_anchor + anchor] = NEVER;
            row[self.partner(anchor)] = NEVER;
        })
    }

    fn masked(&self, hide: impl Fn(&mut [f32], usize)) -> Tensor<2> {
        let [n, views] = self.values.dims();
        let mut mask = vec![0.0_f32; n * views];
        mask.chunks_exact_mut(views).enumerate().for_each(|(anchor, row)| hide(row, anchor));
        self.values.clone() + Tensor::from_data(TensorData::new(mask, [n, views]), &self.values.device())
    }

    fn partner(&self, anchor: usize) -> usize {
        let views = self.values.dims()[1];
        (self.first_anchor + anchor + views / 2) % views
    }
}
