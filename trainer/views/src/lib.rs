//! Views: random changes of an image that keep its label, as the numbers that a network sees.
//!
//! Order and constants follow the REMEDIS code (`data_util.py` of google-research/medical-ai-research-foundations), with three
//! deviations: crop, mirror, turn and elastic deformation are one map from the view's pixels to the image's, so pixels are
//! interpolated at most twice; beyond their edge images are mirrored, not blackened, so that a turned cell has no black corners to be
//! recognised by; and the elastic deformation, which that code calls but does not define, is the one of [`Elastic`].
//!
//! Images have 8 bits a sample or 16 and keep them: a crop is scaled in whole numbers of that depth, the rest is done in `f32`, whose 24
//! bits hold both, and equalisation has a bin a level.
//!
//! What is drawn depends on a [`Key`] alone, and what is computed from it has the same bits on every processor. Decoding and
//! normalising are not done here but in `remedis-imaging`.

mod blur;
mod chance;
mod colour;
mod elastic;
mod equalise;
mod frame;
mod mixup;
mod planes;
mod policy;
mod scale;
mod stain;
mod view;

pub use blur::blur;
pub use chance::{Chance, Key};
pub use colour::{brightness, contrast, grey, hue, saturation};
pub use elastic::Elastic;
pub use equalise::equalise;
pub use frame::Frame;
pub use mixup::{mixup, roll_mixup};
pub use planes::Planes;
pub use policy::{Policy, Views};
pub use stain::{Stain, stain};
pub use view::view;

/// Runs `work` compiled for the widest vectors of this processor. What it calls must be `#[inline(always)]` to profit.
#[inline]
fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
