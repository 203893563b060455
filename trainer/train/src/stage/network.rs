//! From the plan to networks: the only place that knows how `remedis-model` builds them.

use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use remedis_model::{
    Backbone, BackboneForm, BitConfig, Classifier, Initialiser, InvertedResidualConfig, ProjectionHead, Stem, Student,
    StudentConfig, linear,
};
use remedis_views::Key;

use crate::plan::{BackbonePreset, Plan};

/// Images from this size on get the 7x7 stem of ResNet-18.
const LARGE_PX: u32 = 128;

/// Maps a student's embedding to a teacher's.
pub(super) type Adapter = Linear;

/// The seed of a stage's first weights.
pub(super) fn seed(key: Key) -> u64 {
    key.chance().below(usize::MAX) as u64
}

/// The plan's backbone with first weights drawn from `seed`.
#[must_use]
pub fn backbone(plan: &Plan, seed: u64, device: &Device) -> Backbone {
    form(plan).init(device, seed)
}

/// The form of the plan's backbone.
pub(crate) fn form(plan: &Plan) -> BackboneForm {
    let channels = plan.input.channels.count();
    let bit = |config: BitConfig| BackboneForm::Bit(config.with_channels(channels));
    match plan.backbone.preset {
        BackbonePreset::Small => bit(BitConfig::small()),
        BackbonePreset::R50x1 => bit(BitConfig::r50x1()),
        BackbonePreset::R101x1 => bit(BitConfig::r101x1()),
        BackbonePreset::R101x3 => bit(BitConfig::r101x3()),
        BackbonePreset::R152x2 => bit(BitConfig::r152x2()),
        BackbonePreset::R152x4 => bit(BitConfig::r152x4()),
        BackbonePreset::EfficientnetLite0 => BackboneForm::InvertedResidual(InvertedResidualConfig {
            channels,
            ..InvertedResidualConfig::efficientnet_lite0(1)
        }),
    }
}

pub(super) fn classifier(plan: &Plan, n_classes: usize, seed: u64, device: &Device) -> Classifier {
    Classifier::new(backbone(plan, seed, device), n_classes, device)
}

pub(super) fn projection(backbone: &Backbone, projection: usize, seed: u64, device: &Device) -> ProjectionHead {
    ProjectionHead::new(backbone.embedding_size(), projection, device, seed)
}

pub(super) fn student(plan: &Plan, n_classes: usize, seed: u64, device: &Device) -> Student {
    let config = StudentConfig {
        channels: plan.input.channels.count(),
        stem: if plan.input.size_px < LARGE_PX { Stem::Three } else { Stem::Seven },
        blocks: plan.student.blocks,
        width: plan.student.width,
        n_classes,
    };
    config.init(device, seed)
}

/// A linear map of small random weights from the student's embedding to one of length `embedding`.
pub(super) fn adapter(student: &Student, embedding: usize, seed: u64, device: &Device) -> Adapter {
    let from = student.embedding_size();
    linear(Initialiser::new(seed).matrix([from, embedding], (1.0 / from as f64).sqrt(), device), None)
}

/// The teacher's embedding and logits, as constants on the training device.
pub(super) fn teach(teacher: &Classifier, x: Tensor<4>, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let embedding = teacher.backbone.forward(x);
    let logits = teacher.head.forward(embedding.clone());
    (embedding.to_device(device), logits.to_device(device))
}

/// The student's embedding and logits.
pub(super) fn learn(student: &Student, x: Tensor<4>) -> (Tensor<2>, Tensor<2>) {
    let embedding = student.embedding(x);
    (embedding.clone(), student.classify(embedding))
}
