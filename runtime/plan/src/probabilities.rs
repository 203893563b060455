//! What comes after the last layer.

/// `softmax(logits / temperature)` of finite logits, the same bits on every processor: the exponential is the `libm` crate's, because
/// platforms' own ones differ.
#[must_use]
pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut probabilities: Vec<f32> = logits.iter().map(|logit| libm::expf((logit - highest) / temperature)).collect();
    let sum: f32 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|probability| *probability /= sum);
    probabilities
}
