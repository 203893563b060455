//! What optimisers do to weights: one pass over memory.

use rayon::prelude::*;

use super::rows::{add, vectorised};
use crate::MomentumStep;

/// Values of one piece: shapes alone decide how work is cut.
const PIECE: usize = 1 << 15;

/// See [`MomentumStep`].
pub(crate) fn step(weight: &mut [f32], velocity: &mut [f32], gradient: &[f32], step: &MomentumStep) {
    assert!(
        weight.len() == velocity.len() && weight.len() == gradient.len(),
        "weight, velocity and gradient of one shape"
    );
    let MomentumStep { momentum, push, decay, pull } = *step;
    let pieces = weight.par_chunks_mut(PIECE).zip(velocity.par_chunks_mut(PIECE)).zip(gradient.par_chunks(PIECE));
    pieces.for_each(|((weight, velocity), gradient)| {
        vectorised(
            #[inline(always)]
            || {
                for ((w, v), g) in weight.iter_mut().zip(velocity).zip(gradient) {
                    *v = *v * momentum + (g + *w * decay) * push;
                    *w -= *v * pull;
                }
            },
        );
    });
}

/// Sums of the squares of `weight` and of `gradient + decay * weight`.
pub(crate) fn squares(weight: &[f32], gradient: &[f32], decay: f32) -> [f32; 2] {
    const LANES: usize = 32;
    assert_eq!(weight.len(), gradient.len(), "weight and gradient of one shape");
    let parts: Vec<[f32; 2]> = weight
        .par_chunks(PIECE)
        .zip(gradient.par_chunks(PIECE))
        .map(|(weight, gradient)| {
            vectorised(
                #[inline(always)]
                || {
                    let (mut of_weight, mut of_gradient) = ([0.0; LANES], [0.0; LANES]);
                    for (weight, gradient) in weight.chunks(LANES).zip(gradient.chunks(LANES)) {
                        for (((w, g), a), b) in weight.iter().zip(gradient).zip(&mut of_weight).zip(&mut of_gradient) {
                            let g = g + w * decay;
                            *a += w * w;
                            *b += g * g;
                        }
                    }
                    [of_weight.iter().sum(), of_gradient.iter().sum()]
                },
            )
        })
        .collect();
    let mut sums = [0.0; 2];
    for part in &parts {
        add(&mut sums, part);
    }
    sums
}
