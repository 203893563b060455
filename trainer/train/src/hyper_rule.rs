//! What published work sets instead of a plan: BiT-HyperRule, and the grid of REMEDIS.

use crate::plan::{FinetuneConfig, Schedule};

/// Everything BiT-HyperRule says of fine-tuning on a set of images.
#[derive(Clone, Debug, PartialEq)]
pub struct HyperRule {
    /// Optimiser steps.
    pub steps: usize,
    /// Steps in which the rate rises.
    pub warm_up_steps: usize,
    /// Steps at which it falls to a tenth.
    pub decay_at: [usize; 3],
    /// Peak learning rate of SGD with momentum 0.9.
    pub learning_rate: f64,
    /// Images in a step.
    pub batch: usize,
    /// Weight decay.
    pub weight_decay: f64,
    /// Alpha of mixup, 0 for none.
    pub mixup: f32,
    /// Images are brought to squares of this side,
    pub resize_px: u32,
    /// and a square of this side is cut out of them; evaluation brings images to this side at once.
    pub crop_px: u32,
}

/// BiT-HyperRule for `n_images` labelled images, most of them `size` (width, height) pixels large.
///
/// Source: Kolesnikov et al. 2020, "Big Transfer (BiT)", section 3.3, with the constants of google-research/big_transfer,
/// `bit_hyperrule.py` and `train.py`. The README there finds a batch of 128 with a rate of 0.001 nearly as good.
#[must_use]
pub fn hyper_rule(n_images: usize, size: [u32; 2]) -> HyperRule {
    let (steps, warm_up_steps, decay_at) = match n_images {
        0..20_000 => (500, 100, [200, 300, 400]),
        20_000..500_000 => (10_000, 500, [3_000, 6_000, 9_000]),
        _ => (20_000, 500, [6_000, 12_000, 18_000]),
    };
    let is_small = u64::from(size[0]) * u64::from(size[1]) < 96 * 96;
    let (resize_px, crop_px) = if is_small { (160, 128) } else { (512, 480) };
    HyperRule {
        steps,
        warm_up_steps,
        decay_at,
        learning_rate: 0.003,
        batch: 512,
        weight_decay: 0.0,
        mixup: if n_images < 20_000 { 0.0 } else { 0.1 },
        resize_px,
        crop_px,
    }
}

impl HyperRule {
    /// `config` with this rule's numbers. Labels, views, the limit of the gradient and the grid stay; so does the plan's
    /// input size, as the device's network is made for it.
    #[must_use]
    pub fn apply(&self, config: &FinetuneConfig) -> FinetuneConfig {
        let share = |step: usize| step as f64 / self.steps as f64;
        FinetuneConfig {
            steps: self.steps,
            batch: self.batch,
            learning_rate: self.learning_rate,
            schedule: Schedule::Steps,
            decay_at: self.decay_at.map(share).to_vec(),
            weight_decay: self.weight_decay,
            warm_up: share(self.warm_up_steps),
            mixup: self.mixup,
            ..config.clone()
        }
    }
}

/// Learning rates and weight decays of the fine-tuning grid: seven of each half decade from 10^-3.5 to 10^-0.5, and four.
///
/// Source: Azizi et al. 2021, "Big Self-Supervised Models Advance Medical Image Classification" (`MICLe`), whose protocol REMEDIS
/// keeps. For `finetune.grid_rates` and `finetune.grid_decays` of the plan.
#[must_use]
pub fn remedis_grid() -> (Vec<f64>, Vec<f64>) {
    let rates = (0..7).map(|half_decade| 10_f64.powf(-3.5 + 0.5 * f64::from(half_decade))).collect();
    (rates, vec![0.0, 1e-5, 1e-4, 1e-3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn schedule(n_images: usize) -> (usize, usize, [usize; 3], f32) {
        let rule = hyper_rule(n_images, [224, 224]);
        (rule.steps, rule.warm_up_steps, rule.decay_at, rule.mixup)
    }

    #[test]
    fn the_schedule_grows_with_the_number_of_images() {
        for n in [1, 19_999] {
            assert_eq!(schedule(n), (500, 100, [200, 300, 400], 0.0));
        }
        for n in [20_000, 499_999] {
            assert_eq!(schedule(n), (10_000, 500, [3_000, 6_000, 9_000], 0.1));
        }
        assert_eq!(schedule(500_000), (20_000, 500, [6_000, 12_000, 18_000], 0.1));
    }

    #[test]
    fn images_below_96_by_96_are_seen_at_128() {
        let seen = |size| (hyper_rule(1, size).resize_px, hyper_rule(1, size).crop_px);
        assert_eq!(seen([95, 96]), (160, 128));
        assert_eq!(seen([96, 96]), (512, 480));
        assert_eq!(seen([20, 2000]), (512, 480));
    }

    #[test]
    fn a_plan_under_the_rule_keeps_its_views_and_gets_whole_steps_back() {
        for n in [100, 30_000, 600_000] {
            let (rule, config) = (hyper_rule(n, [64, 64]), Plan::demo().finetune);
            let settled = rule.apply(&config);
            let steps = |share: f64| (settled.steps as f64 * share).round() as usize;
            assert_eq!(settled.decay_at.iter().map(|&share| steps(share)).collect::<Vec<_>>(), rule.decay_at);
            assert_eq!(steps(settled.warm_up), rule.warm_up_steps);
            assert_eq!((settled.batch, settled.weight_decay, settled.learning_rate), (512, 0.0, 0.003));
            assert_eq!((settled.augment, settled.n_labels), (config.augment, config.n_labels));
        }
    }

    #[test]
    fn the_grid_has_seven_rates_and_four_decays() {
        let (rates, decays) = remedis_grid();
        let expected = [0.000_316_227_766, 0.001, 0.003_162_277_66, 0.01, 0.031_622_776_6, 0.1, 0.316_227_766];
        assert_eq!(rates.len(), 7);
        assert!(rates.iter().zip(expected).all(|(rate, expected)| (rate / expected - 1.0).abs() < 1e-8), "{rates:?}");
        assert_eq!(decays, [0.0, 1e-5, 1e-4, 1e-3]);
    }
}
