//! How much memory a run takes, worked out before anything is loaded.
//!
//! A run is at its fullest in one of its stages. There it holds, in 32-bit values of `parameters` each (the backbone and heads):
//!
//! - networks of other stages: none while pretraining, the pretrained one while contrasting, two arms, an adapted one and its start
//!   while fine-tuning, the teacher while distilling;
//! - what is trained: weights, gradients, the weights that the optimiser is making, and its state: 1 copy of velocity for SGD and
//!   LARS, 2 of moments for `AdamW`;
//! - either the activations of a step or the copies that a checkpoint is written from (3 of weights and state), whichever is more.
//!
//! Activations are what the operations of `remedis-ops` keep for their backward passes, which is what they were given: of a
//! bottleneck unit the inputs of three normalisations and three convolutions, of a block two of each. On top come the maps in
//! flight, counted as four of the largest. Decoded images take what is given; evaluation turns one whole set into 32-bit values.
//!
//! It is an estimate from above for a CPU; memory of GPUs is not looked at. Peaks measured on two cores (`VmHWM`) against it: R50x1 at
//! 64 pixels, pretraining on 64 images a step 0.72 of 0.90 GB, contrasting 64 pairs 1.39 of 1.64 GB, and with a checkpoint after every
//! step 0.80, 1.57 and (fine-tuning) 1.08 of 1.00, 1.72 and 1.38 GB; the small network on 64 pairs 0.14 of 0.20 GB.

use remedis_model::{BackboneForm, BitConfig, InvertedResidualConfig};
use serde::Serialize;

use crate::plan::{ContrastOptimiser, Plan};
use crate::stage::form;

/// The program itself and its threads, in bytes.
const PROGRAM: u64 = 50_000_000;
/// Bytes of a number.
const VALUE: u64 = 4;
/// Copies of weights and optimiser state while a checkpoint is written.
const SAVED_COPIES: u64 = 3;
/// Maps in flight in a backward pass.
const IN_FLIGHT: u64 = 4;
/// Images forwarded at once when measuring.
const EVALUATED: u64 = 64;

/// Bytes that a run holds at its fullest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryNeed {
    /// Decoded images.
    pub images: u64,
    /// The stage that takes most.
    pub stage: &'static str,
    /// Networks of other stages that it holds.
    pub networks: u64,
    /// Its weights, gradients and optimiser.
    pub training: u64,
    /// Its activations, or the copies that a checkpoint is written from.
    pub step: u64,
    /// All of it, and the program.
    pub total: u64,
}

/// What a run of `plan` on a CPU needs with `images` bytes of decoded images, of `n_patients` patients in the contrastive stage (an image
/// of unknown patient counts as one), which bounds its batch.
#[must_use]
pub fn memory_need(plan: &Plan, images: u64, n_patients: usize) -> MemoryNeed {
    let (embedding, kept) = teacher(plan);
    let parameters = kept.parameters;
    let contrast = &plan.contrast;
    let projection = embedding * (embedding + contrast.projection as u64);
    let velocity = 1;
    let moments = match contrast.optimiser {
        ContrastOptimiser::Lars => 1,
        ContrastOptimiser::AdamW => 2,
    };
    let student = blocks(plan);
    let views = if contrast.epochs == 0 { 0 } else { 2 * contrast.batch.min(n_patients) as u64 };
    let views = if contrast.at_once == 0 { views } else { views.min(contrast.at_once as u64) };
    // The teacher of a distillation only answers: its maps pass by.
    let passing = |images: u64| VALUE * images * IN_FLIGHT * kept.largest;
    let distilled = plan.distil.batch as u64;
    let first = stage("pretrain", 0, parameters, velocity, kept.step(plan.pretrain.batch as u64));
    let others = [
        stage("contrast", parameters, parameters + projection, moments, kept.step(views)),
        stage("finetune", 4 * parameters, parameters, velocity, kept.step(plan.finetune.batch as u64)),
        stage("distil", parameters, student.parameters, velocity, student.step(distilled) + passing(distilled)),
        stage("evaluate", 4 * parameters, 0, 0, passing(EVALUATED)),
    ];
    let fullest = others.into_iter().fold(first, |most, next| if next.total > most.total { next } else { most });
    MemoryNeed { images, total: images + fullest.total + PROGRAM, ..fullest }
}

/// Without images and program.
fn stage(name: &'static str, kept: u64, trained: u64, state: u64, activations: u64) -> MemoryNeed {
    let saving = VALUE * SAVED_COPIES * trained * (1 + state);
    let (networks, training, step) = (VALUE * kept, VALUE * trained * (3 + state), activations.max(saving));
    MemoryNeed { images: 0, stage: name, networks, training, step, total: networks + training + step }
}

/// The values of one image's maps.
#[derive(Clone, Copy, Debug, Default)]
struct Maps {
    /// Kept for the backward pass.
    kept: u64,
    /// Of the largest map.
    largest: u64,
    parameters: u64,
}

impl Maps {
    fn keep(&mut self, channels: u64, side: u64, times: u64) {
        let map = channels * side * side;
        self.kept += times * map;
        self.largest = self.largest.max(map);
    }

    /// Bytes of a step on this many images.
    fn step(&self, images: u64) -> u64 {
        VALUE * images * (self.kept + IN_FLIGHT * self.largest)
    }
}

/// Length of the embedding, and the maps behind it.
fn teacher(plan: &Plan) -> (u64, Maps) {
    let size = plan.input.size_px.into();
    match form(plan) {
        BackboneForm::Bit(config) => (config.embedding_size() as u64, bottlenecks(&config, size)),
        BackboneForm::InvertedResidual(config) => (config.embedding as u64, inverted_residuals(&config, size)),
    }
}

/// Of a network of inverted residual blocks at `size` pixels.
fn inverted_residuals(config: &InvertedResidualConfig, size: u64) -> Maps {
    let mut maps = Maps { parameters: config.parameters() as u64, ..Maps::default() };
    maps.keep(config.channels as u64, size, 2);
    let (mut side, mut channels) = (size.div_ceil(2), config.stem as u64);
    maps.keep(channels, side, 1);
    for stage in &config.stages {
        for unit in 0..stage.repeats {
            let after = if unit == 0 { side.div_ceil(stage.stride as u64) } else { side };
            let inner = channels * stage.expansion as u64;
            maps.keep(channels, side, 1);
            maps.keep(inner, side, 2);
            maps.keep(inner, after, 2);
            (side, channels) = (after, stage.channels as u64);
            maps.keep(channels, side, 1);
        }
    }
    maps.keep(channels, side, 1);
    maps.keep(config.embedding as u64, side, 2);
    maps
}

/// Of a BiT network at `size` pixels.
fn bottlenecks(config: &BitConfig, size: u64) -> Maps {
    let mut maps = Maps { parameters: config.parameters() as u64, ..Maps::default() };
    maps.keep(config.channels as u64, size, 2);
    maps.keep(config.stem() as u64, size.div_ceil(2), 1);
    let (mut side, mut channels) = (size.div_ceil(4), config.stem() as u64);
    for block in 0..4 {
        let out = config.block(block) as u64;
        for unit in 0..config.units[block] {
            let after = if block > 0 && unit == 0 { side.div_ceil(2) } else { side };
            maps.keep(channels, side, 2);
            maps.keep(out / 4, side, 2);
            maps.keep(out / 4, after, 2);
            (side, channels) = (after, out);
        }
    }
    maps.keep(channels, side, 1);
    maps
}

/// Of the plan's student.
fn blocks(plan: &Plan) -> Maps {
    let (size, width) = (u64::from(plan.input.size_px), plan.student.width as u64);
    let mut maps = Maps::default();
    maps.keep(plan.input.channels.count() as u64, size, 2);
    maps.keep(width, size.div_ceil(2), 2);
    let (mut side, mut channels) = (size.div_ceil(4), width);
    for group in 0..4 {
        let out = width << group;
        for block in 0..plan.student.blocks[group] {
            let after = if group > 0 && block == 0 { side.div_ceil(2) } else { side };
            maps.keep(channels, side, 1);
            maps.keep(out, after, 4);
            maps.parameters += 9 * channels * out + 9 * out * out + channels * out;
            (side, channels) = (after, out);
        }
    }
    maps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::BackbonePreset;

    /// One unit a block, stem 16, 48 pixels, by hand: input 2 * 3 * 48^2, stem 16 * 24^2, then at 12, 12 to 6, 6 to 3 and 3 to 2 pixels
    /// 2 * in * side^2 + 2 * out / 4 * (side^2 + after^2), and 512 * 2^2 at the end:
    /// 13824 + 9216 + (4608 + 9216) + (18432 + 11520) + (9216 + 5760) + (4608 + 3328) + 2048.
    #[test]
    fn the_maps_of_the_small_network_are_those_counted_by_hand() {
        let maps = bottlenecks(&BitConfig::small(), 48);
        assert_eq!(maps.kept, 91_776);
        assert_eq!(maps.largest, 9216);
    }

    #[test]
    fn a_larger_batch_or_picture_needs_more_and_the_largest_network_far_more() {
        let (small, mut plan) = (memory_need(&Plan::demo(), 1000, 1400), Plan::demo());
        plan.contrast.batch *= 8;
        let wide = memory_need(&plan, 1000, 1400);
        assert_eq!((small.stage, wide.stage), ("contrast", "contrast"));
        assert!(wide.step > 7 * small.step && wide.total > small.total, "{small:?} {wide:?}");
        assert_eq!(memory_need(&plan, 1000, 64), small, "no more pairs than patients");
        plan.input.size_px = 224;
        plan.backbone.preset = BackbonePreset::R152x2;
        let large = memory_need(&plan, 1000, 1400);
        // 232 M parameters and 17 M of the projection head: weights, gradients, update and two moments take 5 GB.
        assert!((4_980_000_000..5_000_000_000).contains(&large.training), "{large:?}");
    }

    #[test]
    fn images_are_counted_as_given() {
        let (none, some) = (memory_need(&Plan::tiny(), 0, 9), memory_need(&Plan::tiny(), 1_000_000, 9));
        assert_eq!((some.images, some.total - none.total), (1_000_000, 1_000_000));
    }
}
