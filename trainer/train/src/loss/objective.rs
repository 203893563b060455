//! Which contrastive loss: one door for all of them.

use std::ops::Range;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{decoupled, decoupled_of, nt_xent, nt_xent_of, vicreg};

/// What the contrastive stage minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// `SimCLR`'s own, [`nt_xent`].
    NtXent,
    /// The positive left out of the denominator, [`decoupled`]; made for small batches.
    Decoupled,
    /// No negatives, [`vicreg`].
    Vicreg,
}

impl Objective {
    /// Whether projections are brought to unit length before they are compared.
    #[must_use]
    pub fn takes_unit_length(self) -> bool {
        match self {
            Self::NtXent | Self::Decoupled => true,
            Self::Vicreg => false,
        }
    }

    /// The loss of one batch. `temperature` means nothing to [`Vicreg`](Self::Vicreg).
    ///
    /// # Shapes
    /// - `view_a`, `view_b`: `[batch, embedding]`, each row of unit length where [`takes_unit_length`](Self::takes_unit_length)
    /// - returns: `[1]`
    ///
    /// # Panics
    /// If the two shapes differ, there are not at least two images, or `temperature` is not positive.
    #[must_use]
    pub fn loss(self, view_a: Tensor<2>, view_b: Tensor<2>, temperature: f64) -> Tensor<1> {
        match self {
            Self::NtXent => nt_xent(view_a, view_b, temperature),
            Self::Decoupled => decoupled(view_a, view_b, temperature),
            Self::Vicreg => vicreg(view_a, view_b),
        }
    }

    /// The share of the loss of a whole batch that falls to some of its pairs: shares of disjoint pairs that cover the batch
    /// add up to [`loss`](Self::loss), and their gradients by `all` to its gradient.
    ///
    /// So each of several processes computes the share of its own pairs against the gathered views of all. `Vicreg` does not
    /// divide among pairs: every process computes all of it and takes its part by number.
    ///
    /// # Shapes
    /// - `all`: `[2 * batch, embedding]`: all first views, then all second views in the same order
    /// - returns: `[1]`
    ///
    /// # Panics
    /// As [`loss`](Self::loss), or if `pairs` reaches beyond the batch.
    #[must_use]
    pub fn share(self, all: Tensor<2>, pairs: Range<usize>, temperature: f64) -> Tensor<1> {
        let [views, width] = all.dims();
        let batch = views / 2;
        assert!(pairs.start <= pairs.end && pairs.end <= batch, "pairs {pairs:?} of {batch}");
        let both = |part: fn(Tensor<2>, usize, Tensor<2>, f64) -> Tensor<1>| {
            let side = |first: usize| {
                let anchors = all.clone().slice([first..first + pairs.len(), 0..width]);
                part(anchors, first, all.clone(), temperature)
            };
            (side(pairs.start) + side(batch + pairs.start)).div_scalar(views as f64)
        };
        match self {
            Self::NtXent => both(nt_xent_of),
            Self::Decoupled => both(decoupled_of),
            Self::Vicreg => {
                let [a, b] = [0, batch].map(|first| all.clone().slice([first..first + batch, 0..width]));
                vicreg(a, b).mul_scalar(pairs.len() as f64 / batch as f64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::floats;
    use crate::loss::unit_length;
    use burn::tensor::{Device, TensorData};
    use remedis_views::Key;

    const ALL: [Objective; 3] = [Objective::NtXent, Objective::Decoupled, Objective::Vicreg];

    /// Eight images, two views each, five axes.
    fn views() -> Tensor<2> {
        let mut chance = Key::new(3, "test").chance();
        let values: Vec<f32> = (0..16 * 5).map(|_| chance.uniform(-1.0, 1.0)).collect();
        Tensor::from_data(TensorData::new(values, [16, 5]), &Device::flex().autodiff()).require_grad()
    }

    fn of(objective: Objective, rows: Tensor<2>) -> Tensor<2> {
        if objective.takes_unit_length() { unit_length(rows) } else { rows }
    }

    #[test]
    fn shares_of_three_processes_and_their_gradients_add_up_to_the_whole() {
        for objective in ALL {
            let gradient = |loss: &dyn Fn(Tensor<2>) -> Tensor<1>| {
                let rows = views();
                let loss = loss(of(objective, rows.clone()));
                let gradient = rows.grad(&loss.backward()).unwrap();
                [floats(loss), floats(gradient)].concat()
            };
            let whole = gradient(&|all| {
                let [a, b]: [Tensor<2>; 2] = all.chunk(2, 0).try_into().unwrap();
                objective.loss(a, b, 0.2)
            });
            let parts = [0..3, 3..5, 5..8].map(|pairs| gradient(&|all| objective.share(all, pairs.clone(), 0.2)));
            for (i, whole) in whole.iter().enumerate() {
                let sum: f32 = parts.iter().map(|part| part[i]).sum();
                assert!((sum - whole).abs() < 2e-5 * whole.abs().max(1.0), "{objective:?}, {i}: {sum}, not {whole}");
            }
        }
    }

    #[test]
    fn their_names_are_those_of_the_plan() {
        let names = ALL.map(|objective| serde_json::to_string(&objective).unwrap());
        assert_eq!(names, ["\"nt_xent\"", "\"decoupled\"", "\"vicreg\""]);
    }
}
