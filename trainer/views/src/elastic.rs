//! Elastic deformation.

use crate::chance::Chance;

/// Control points a side that lie within the view; cubic splines need one more before and two after.
const WITHIN: usize = 4;
/// Control points a side.
const POINTS: usize = WITHIN + 3;

/// A smooth random displacement of every pixel: a uniform cubic B-spline over a coarse grid of random displacements, as Ronneberger
/// et al. 2015 ("U-Net", section 3.1) deform biomedical images after Simard et al. 2003.
#[derive(Clone, Debug, PartialEq)]
pub struct Elastic {
    /// Displacement in pixels of the view, `[x, y]`, of each control point, rows from the top.
    moves: [[[f32; 2]; POINTS]; POINTS],
}

impl Elastic {
    /// Normally distributed displacements of standard deviation `sigma`, in pixels of the view.
    #[must_use]
    pub fn draw(sigma: f32, chance: &mut Chance) -> Self {
        // Beyond three standard deviations a cell would be torn.
        let mut one = || (chance.normal() * sigma).clamp(-3.0 * sigma, 3.0 * sigma);
        Self { moves: std::array::from_fn(|_| std::array::from_fn(|_| [one(), one()])) }
    }

    /// The given displacements of the 7 x 7 control points, `[x, y]`, rows from the top.
    #[must_use]
    pub fn new(moves: [[[f32; 2]; POINTS]; POINTS]) -> Self {
        Self { moves }
    }

    /// The largest displacement along either axis.
    pub(crate) fn reach(&self) -> f32 {
        self.moves.as_flattened().as_flattened().iter().fold(0.0, |most, value| most.max(value.abs()))
    }

    /// Displacements of the pixels of row `y` of a view of `[width, height]`.
    pub(crate) fn row(&self, y: usize, [width, height]: [usize; 2]) -> Vec<[f32; 2]> {
        let (top, weights_y) = spline(y, height);
        let column: [[f32; 2]; POINTS] = std::array::from_fn(|i| {
            [0, 1].map(|axis| (0..4).map(|j| weights_y[j] * self.moves[top + j][i][axis]).sum())
        });
        (0..width)
            .map(|x| {
                let (left, weights_x) = spline(x, width);
                [0, 1].map(|axis| (0..4).map(|i| weights_x[i] * column[left + i][axis]).sum())
            })
            .collect()
    }
}

/// The first of the four control points around the centre of pixel `i` of `size`, and their weights.
fn spline(i: usize, size: usize) -> (usize, [f32; 4]) {
    let at = (i as f32 + 0.5) / size as f32 * WITHIN as f32;
    let first = (at as usize).min(WITHIN - 1);
    let t = at - first as f32;
    let (t2, t3) = (t * t, t * t * t);
    let weights =
        [(1.0 - t) * (1.0 - t) * (1.0 - t), 3.0 * t3 - 6.0 * t2 + 4.0, -3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0, t3];
    (first, weights.map(|weight| weight / 6.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_displacement_everywhere_moves_the_whole_picture() {
        let elastic = Elastic::new([[[1.5, -2.0]; POINTS]; POINTS]);
        for y in [0, 7, 15] {
            for [dx, dy] in elastic.row(y, [16, 16]) {
                assert!((dx - 1.5).abs() < 1e-5 && (dy + 2.0).abs() < 1e-5, "{dx} {dy}");
            }
        }
    }

    #[test]
    fn neighbours_move_alike() {
        let elastic = Elastic::draw(4.0, &mut crate::Key::new(1, "test").chance());
        let row = elastic.row(3, [64, 64]);
        let largest = row.windows(2).map(|pair| (pair[0][0] - pair[1][0]).abs()).fold(0.0, f32::max);
        assert!(largest > 0.0 && largest < 1.0, "{largest}");
    }
}
