//! What an engine of exchange must do.

/// Blocking exchanges between all ranks, called from one thread.
pub trait Exchange {
    /// This process's rank, from 0.
    fn rank(&self) -> usize;
    /// Number of ranks.
    fn count(&self) -> usize;
    /// This process's number among those on the same host, from 0: which of its GPUs to take.
    fn local_rank(&self) -> usize;
    /// Replaces `values` by their sum over the ranks, number by number. All ranks get the same bits.
    fn sum(&self, values: &mut [f32]);
    /// The values of all ranks in the order of the ranks; each gives as many.
    fn gather(&self, values: &[f32]) -> Vec<f32>;
    /// Replaces `bytes` by those of rank 0.
    fn broadcast(&self, bytes: &mut Vec<u8>);
    /// Ends every rank's process with this exit code.
    fn abort(&self, code: i32) -> !;
}
