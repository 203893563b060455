//! The four stages. Each builds its network and its step; `run` holds the loop they share.

mod classify;
mod contrast;
mod distil;
mod finetune;
mod gradients;
mod labels;
mod network;
mod pairs;
mod pretrain;
mod run;
mod watch;

pub(crate) use contrast::Contrastive;
pub(crate) use gradients::{Share, Sight};
pub(crate) use run::{AHEAD, among_threads, send_batches};

pub use contrast::contrast;
pub use distil::distil;
pub use finetune::{Start, finetune};
pub use labels::draw_labels;
pub use network::backbone;
pub use pretrain::pretrain;
pub use watch::Watch;
