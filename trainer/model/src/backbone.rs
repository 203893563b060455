//! The teacher's backbone: BiT, a pre-activation ResNet with group normalisation and standardised weights; or another network
//! whose weights others trained ([`Backbone`]).
//!
//! Source of BiT: Kolesnikov et al. 2020, "Big Transfer (BiT)", and its code, google-research/big_transfer. Neither of its
//! normalisations looks across the batch, so an image's embedding does not depend on its neighbours.

mod any;
mod config;
mod group_norm;
mod resnet;
mod std_conv;
mod unit;

pub use any::{Backbone, BackboneForm};
pub use config::BitConfig;
pub use group_norm::GroupNorm;
pub use resnet::BitResNet;
pub use std_conv::{StdConv, standardise};
