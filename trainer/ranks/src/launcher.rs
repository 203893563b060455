//! MPI as the engine of exchange.

use std::cell::RefCell;
use std::time::Duration;

use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use crate::JoinError;
use crate::exchange::Exchange;

/// MPI counts in 32 bits: longer messages go in pieces of this many bytes. No longer than what the C library keeps for the next one
/// (`remedis_ops::keep_memory`).
const PIECE: usize = 1 << 24;

/// How long a rank that waits for the others lets pass before it looks again. They compute for milliseconds at least.
const LOOK_AGAIN: Duration = Duration::from_micros(20);

/// All processes of this launch.
pub(crate) struct Launcher {
    world: SimpleCommunicator,
    local_rank: usize,
    /// A piece of this rank's numbers while the sum takes their place.
    own: RefCell<Vec<f32>>,
    /// Ends MPI when it goes.
    _universe: Universe,
}

impl Launcher {
    /// Starts MPI, which from then on belongs to this thread.
    pub(crate) fn start() -> Result<Self, JoinError> {
        let universe = mpi::initialize().ok_or(JoinError::NotStarted { reason: "it was started before" })?;
        let world = universe.world();
        let local_rank = world.split_shared(world.rank()).rank() as usize;
        Ok(Self { world, local_rank, own: RefCell::default(), _universe: universe })
    }

    /// Waits until all ranks have come as far. MPI waits by asking without a pause, on a core that this rank's or another's
    /// arithmetic needs, and tells nobody when something has come; so it is asked now and then, and what follows goes straight
    /// through.
    fn meet(&self) {
        let mut barrier = self.world.immediate_barrier();
        while let Err(open) = barrier.test() {
            barrier = open;
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Exchange for Launcher {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn count(&self) -> usize {
        self.world.size() as usize
    }

    fn local_rank(&self) -> usize {
        self.local_rank
    }

    fn sum(&self, values: &mut [f32]) {
        self.meet();
        let mut own = self.own.borrow_mut();
        for piece in values.chunks_mut(PIECE / size_of::<f32>()) {
            own.clear();
            own.extend_from_slice(piece);
            self.world.all_reduce_into(own.as_slice(), piece, SystemOperation::sum());
        }
    }

    fn gather(&self, values: &[f32]) -> Vec<f32> {
        self.meet();
        let mut all = vec![0.0; values.len() * self.count()];
        self.world.all_gather_into(values, all.as_mut_slice());
        all
    }

    fn broadcast(&self, bytes: &mut Vec<u8>) {
        let first = self.world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        first.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        for piece in bytes.chunks_mut(PIECE) {
            first.broadcast_into(piece);
        }
    }

    fn abort(&self, code: i32) -> ! {
        self.world.abort(code)
    }
}
