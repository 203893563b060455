//! The four stages. Each builds its network and its step; `run` holds the loop they share.

mod classify;
mod contrast;
mod distil;
mod finetune;
mod folded;
mod gradients;
mod grid;
mod labels;
mod network;
mod pairs;
mod pretrain;
mod probe;
mod quantisation_aware;
mod run;
mod self_distil;
mod watch;

pub(crate) use contrast::Contrastive;
pub(crate) use gradients::{Share, Sight};
pub(crate) use network::form;
pub(crate) use run::{AHEAD, among_threads, send_batches};

pub use contrast::contrast;
pub use distil::distil;
pub use finetune::{Start, finetune, finetune_watched};
pub use folded::Stored;
pub use grid::{Grid, GridCell, finetune_as, finetune_grid, grid_names};
pub use labels::draw_labels;
pub use network::backbone;
pub use pretrain::pretrain;
pub use probe::{Probe, Sample, probe};
pub use quantisation_aware::quantisation_aware;
pub use self_distil::self_distil;
pub use watch::Watch;
