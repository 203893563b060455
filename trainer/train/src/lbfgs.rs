//! The minimum of a smooth convex function of many numbers, in f64 and the same on every run.
//!
//! Source: Nocedal and Wright 2006, "Numerical Optimization", algorithms 7.4 and 7.5 (limited-memory BFGS), with the backtracking
//! line search of algorithm 3.1.

use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that are remembered.
const MEMORY: usize = 10;
/// Share of the decrease that the gradient promises which a step must keep.
const SUFFICIENT: f64 = 1e-4;
/// Halvings of a step before it is given up as below what f64 can tell.
const HALVINGS: usize = 40;

/// A step, the change of the gradient over it, and one over their inner product.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    rho: f64,
}

/// Goes down from `start` until no part of the gradient exceeds `tolerance`, or for `most` steps.
///
/// `function` returns the value at a point and writes its gradient there.
pub(crate) fn minimise(
    start: Vec<f64>,
    tolerance: f64,
    most: usize,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let mut x = start;
    let mut gradient = vec![0.0; x.len()];
    let mut value = function(&x, &mut gradient);
    let mut memory: VecDeque<Pair> = VecDeque::new();
    for _ in 0..most {
        if gradient.iter().all(|part| part.abs() <= tolerance) {
            break;
        }
        let direction = direction(&gradient, &memory);
        let slope = dot(&direction, &gradient);
        let first = if memory.is_empty() { dot(&gradient, &gradient).sqrt().recip().min(1.0) } else { 1.0 };
        let mut next_gradient = vec![0.0; x.len()];
        let tried = (0..HALVINGS).map(|halving| first * 0.5_f64.powi(halving as i32)).find_map(|length| {
            let next: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let next_value = function(&next, &mut next_gradient);
            (next_value <= value + SUFFICIENT * length * slope).then_some((next, next_value))
        });
        let Some((next, next_value)) = tried else { break };
        remember(&mut memory, minus(&next, &x), minus(&next_gradient, &gradient));
        (x, value, gradient) = (next, next_value, next_gradient);
    }
    x
}

/// Against the gradient, turned and stretched by what the last steps told of the curvature.
fn direction(gradient: &[f64], memory: &VecDeque<Pair>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|part| -part).collect();
    let mut shares = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let share = pair.rho * dot(&pair.step, &direction);
        add(&mut direction, -share, &pair.change);
        shares.push(share);
    }
    if let Some(last) = memory.back() {
        let scale = 1.0 / (last.rho * dot(&last.change, &last.change));
        direction.iter_mut().for_each(|part| *part *= scale);
    }
    for (pair, share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = share - pair.rho * dot(&pair.change, &direction);
        add(&mut direction, back, &pair.step);
    }
    direction
}

/// Keeps a pair that shows positive curvature; others come of rounding and would spoil the direction.
fn remember(memory: &mut VecDeque<Pair>, step: Vec<f64>, change: Vec<f64>) {
    let curvature = dot(&step, &change);
    if curvature > 1e-12 * dot(&change, &change) {
        if memory.len() == MEMORY {
            memory.pop_front();
        }
        memory.push_back(Pair { step, change, rho: curvature.recip() });
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bowl_ten_thousand_times_steeper_one_way_is_walked_to_its_bottom() {
        let steep: Vec<f64> = (0..20).map(|i| 10_f64.powf(f64::from(i) * 4.0 / 19.0)).collect();
        let found = minimise(vec![1.0; 20], 1e-9, 1000, |x, gradient| {
            let off: Vec<f64> = x.iter().zip(0..20).map(|(x, i)| x - f64::from(i)).collect();
            gradient.iter_mut().zip(&steep).zip(&off).for_each(|((gradient, steep), off)| *gradient = steep * off);
            steep.iter().zip(&off).map(|(steep, off)| 0.5 * steep * off * off).sum()
        });
        let off = found.iter().zip(0..20).map(|(x, i)| (x - f64::from(i)).abs()).fold(0.0, f64::max);
        assert!(off < 1e-8, "{off}");
    }

    // ln(1 + e^-2x) + x^2 / 20 is lowest where 2 / (1 + e^2x) = x / 10: at 1.32349513 by bisection in Python.
    #[test]
    fn the_bottom_of_a_logistic_bowl_is_where_its_slopes_balance() {
        let found = minimise(vec![0.0], 1e-10, 100, |x, gradient| {
            gradient[0] = -2.0 / (1.0 + (2.0 * x[0]).exp()) + x[0] / 10.0;
            (-2.0 * x[0]).exp().ln_1p() + x[0] * x[0] / 20.0
        });
        assert!((found[0] - 1.323_495_125_298_516_8).abs() < 1e-8, "{}", found[0]);
    }

    #[test]
    fn a_start_at_the_bottom_stays_there() {
        let bowl = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = x[0] - 3.0;
            0.5 * (x[0] - 3.0).powi(2)
        };
        assert_eq!(minimise(vec![3.0], 1e-9, 10, bowl), [3.0]);
    }
}
