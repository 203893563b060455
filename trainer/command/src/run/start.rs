//! Weights that others trained, to start from instead of pretraining on natural images.

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use remedis_model::{Backbone, InvertedResidualConfig, Weights, efficientnet_classes, import_efficientnet};
use remedis_train::{BackbonePreset, Plan, backbone};

/// The plan's backbone with the weights of `path`.
pub(super) fn read(path: &Path, plan: &Plan, device: &Device) -> Result<Backbone> {
    let fresh = backbone(plan, plan.seed, device);
    let file = std::fs::read(path).with_context(|| format!("reading the weights {}", path.display()))?;
    let read = || match plan.backbone.preset {
        BackbonePreset::EfficientnetLite0 => {
            let form = InvertedResidualConfig {
                channels: plan.input.channels.count(),
                ..InvertedResidualConfig::efficientnet_lite0(efficientnet_classes(&file)?)
            };
            let trained = import_efficientnet(form.init(device, plan.seed), &file)?;
            fresh.with_weights(&Weights::of(&trained)).map_err(anyhow::Error::msg)
        }
        preset => bail!("the plan's backbone.preset {preset:?} has no importer; \"efficientnet_lite0\" has"),
    };
    read().with_context(|| format!("starting from {}", path.display()))
}
