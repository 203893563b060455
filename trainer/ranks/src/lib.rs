//! The ranks of one training run and what they exchange: sums of gradients, all embeddings of a batch, checkpoints.
//!
//! Each *rank* computes its share of every batch. A run of one process is [`Ranks::alone`], which exchanges with nobody. Several
//! processes are started by an MPI launcher (`mpirun`, `srun`, the Kubeflow MPI operator) and joined by [`join`]; MPI itself
//! carries the bytes (feature `mpi`). Or the ranks are [`threads`] of one process, one for each GPU of a host; both at once are not
//! for anybody: under a launcher every process has one GPU.
//!
//! All exchanges of a process go through one thread of their own, in the order in which they were asked for, so that a sum travels
//! while the gradients of earlier layers are still being computed ([`Ranks::start_sum`]). Every rank must ask for the same exchanges
//! in the same order.
//!
//! What this crate does *not* do: know tensors (`remedis-train`), start processes, or survive the death of a rank: the launcher ends
//! the others, and the run goes on from its checkpoint.

mod exchange;
#[cfg(feature = "mpi")]
mod launcher;
mod ranks;
mod threads;

pub use exchange::Exchange;
pub use ranks::{Pending, Ranks};
pub use threads::threads;

/// Why the ranks of a run could not find each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Several processes were started, each of which would train the whole run by itself.
    #[error(
        "this is one of {count} processes of an MPI launcher, but this program was built without MPI; build it with \
         `cargo build --release -p remedis-command --features mpi` or start it once, without the launcher"
    )]
    NotBuilt {
        /// How many processes the launcher says there are.
        count: usize,
    },
    /// MPI is there but did not start.
    #[error("MPI did not start: {reason}")]
    NotStarted {
        /// What is known of why.
        reason: &'static str,
    },
    /// The operating system refused the thread that exchanges.
    #[error("cannot start the thread that exchanges with the other ranks")]
    Thread(#[from] std::io::Error),
}

/// How many processes the launcher of this one says that it started, by the variables of Open MPI, MPICH's Hydra and SLURM's PMI;
/// 1 without a launcher.
#[must_use]
pub fn launched() -> usize {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].into_iter().find_map(number).unwrap_or_else(|| {
        // A batch script has SLURM's numbers, too: only a PMIx rank makes this process one of several.
        if std::env::var_os("PMIX_RANK").is_some() { number("SLURM_STEP_NUM_TASKS").unwrap_or(1) } else { 1 }
    })
}

/// Joins the other processes of this launch; alone without a launcher.
///
/// Call it once, early: MPI starts but once in a process.
///
/// # Errors
/// If a launcher started several processes and this program was built without MPI, or MPI does not start.
pub fn join() -> Result<Ranks, JoinError> {
    match launched() {
        0 | 1 => Ok(Ranks::alone()),
        #[cfg(feature = "mpi")]
        _ => Ranks::over(launcher::Launcher::start),
        #[cfg(not(feature = "mpi"))]
        count => Err(JoinError::NotBuilt { count }),
    }
}
