//! The devices of this host as ranks: a thread for each, all in this process.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};
use remedis_train::{Session, Silent};

use super::folder::Folder;
use super::ranks::Guard;
use super::start;
use super::teach::{self, Bench, Taught};

/// [`teach::teach`] on one device, or on several that share every batch; `start` names weights that others trained.
///
/// Each rank computes on threads of its own: a rank that waits for the others on a thread of a common pool would keep them from
/// computing what it waits for. The views of all are drawn by the common pool, where nobody waits.
///
/// Afterwards the session is that of rank 0, on the first device.
pub(super) fn teach(
    session: &mut Session,
    bench: &mut Bench,
    devices: &[Device],
    start: Option<&Path>,
) -> Result<Option<Taught>> {
    if devices.len() == 1 {
        return taught(session, bench, start);
    }
    let pools = devices.iter().map(|_| pool(devices.len())).collect::<Result<Vec<_>>>()?;
    let mut ranks = remedis_ranks::threads(devices.len())?;
    session.observer.note(&format!("{} devices share every batch", devices.len()));
    let (plan, out, stop) = (session.plan, session.out, session.stop);
    let (save_every, keep) = (session.save_every, session.keep);
    let (pictures, classes, until) = (bench.pools, bench.classes, bench.until);
    std::thread::scope(|scope| {
        for (ranks, (device, pool)) in ranks.drain(1..).zip(devices.iter().zip(&pools).skip(1)) {
            scope.spawn(move || {
                let guard = Guard::of(&ranks);
                let outcome = pool.install(|| {
                    let folder = &Folder::of_another_rank(out, plan);
                    let (warnings, observer, device) = (&mut Vec::new(), &mut Silent, device.clone());
                    let mut bench = Bench { folder, pools: pictures, classes, warnings, until };
                    let session = &mut Session { plan, out, device, ranks, observer, save_every, keep, stop };
                    taught(session, &mut bench, start)
                });
                guard.release(&outcome);
            });
        }
        session.ranks = ranks.remove(0);
        let guard = Guard::of(&session.ranks);
        let outcome = pools[0].install(|| taught(session, bench, start));
        guard.release(&outcome);
        outcome
    })
}

fn taught(session: &mut Session, bench: &mut Bench, start: Option<&Path>) -> Result<Option<Taught>> {
    let start = start.map(|path| start::read(path, session.plan, &session.device)).transpose()?;
    teach::teach(session, bench, start)
}

/// The threads of one of `ranks` ranks: its share of all.
fn pool(ranks: usize) -> Result<ThreadPool> {
    let threads = (rayon::current_num_threads() / ranks).max(1);
    ThreadPoolBuilder::new().num_threads(threads).build().context("starting the threads of a rank")
}
