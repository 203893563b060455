//! Weights that others trained, to start from instead of pretraining on natural images.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use remedis_model::{Backbone, Head, import};
use remedis_train::{Plan, backbone};

/// The plan's backbone with the weights of `path`, whose classifier is left there.
pub(super) fn read(path: &Path, plan: &Plan, device: &Device) -> Result<Backbone> {
    import(path, backbone(plan, plan.seed, device), Head::Own).with_context(|| {
        format!("starting from {} with the plan's backbone.preset {:?}", path.display(), plan.backbone.preset)
    })
}
