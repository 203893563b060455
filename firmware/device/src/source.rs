//! Where images come from: each source behind the same door, in a thread of its own, and finding its way back by itself.

mod folder;
mod link;
mod openmv;
mod port;

pub use folder::FolderSource;
pub use link::LinkSource;
pub(crate) use link::of_10000;
pub use openmv::OpenMvSource;

use crate::operation::pulse::{Pulse, Pulses};
use crate::pipeline::{Answered, Desk, Desks};
use crate::stop::Stop;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Events that may wait at a source; with 4 KiB of bytes each at most, this bounds what a line can pile up.
const EVENTS_WAITING: usize = 64;
/// A source shows that it is alive at least this often.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A source that was silent for so long hangs.
const LONGEST_SILENCE_MS: u64 = 30_000;

/// A source of images.
pub trait Source: Send + 'static {
    /// As settings, journal and metrics call it.
    const NAME: &'static str;
    /// How many of its images may wait for the judge; `None` for a live source, whose newest image wins.
    const PLACES: Option<usize>;
    /// Whether a new start of the device could help it when it hangs.
    const IS_VITAL: bool = true;
    /// What wakes it: answers, the end, and whatever its own threads tell it.
    type Event: Send + 'static;
    /// It is time to end.
    const END: Self::Event;

    /// What it makes of an answer; a live source asks for none.
    fn hears(_answered: Answered) -> Option<Self::Event> {
        None
    }

    /// Hands in images at the desk until [`END`](Self::END) comes. Never gives up before: what is not there is waited for.
    fn run(self, room: Room<Self::Event>);
}

/// What a source has around it.
pub struct Room<E> {
    /// Where images are handed in.
    pub desk: Desk,
    /// What happened.
    pub inbox: Receiver<E>,
    /// Where its own threads tell what happened.
    pub events: SyncSender<E>,
    /// Its sign of life.
    pub pulse: Pulse,
    /// Ends its own threads.
    pub stop: Arc<Stop>,
}

/// A source at work.
pub struct Running {
    thread: JoinHandle<()>,
    end: Box<dyn Fn() + Send>,
}

impl Running {
    /// Ends the source, once its threads have been told to stop, and waits for it.
    pub fn join(self) {
        (self.end)();
        // A source that panicked has ended too.
        let _panicked = self.thread.join();
    }
}

/// Starts a source.
///
/// # Errors
/// When the system has no room for a thread.
pub fn start<S: Source>(source: S, desks: &mut Desks, pulses: &Pulses, stop: &Arc<Stop>) -> std::io::Result<Running> {
    let (events, inbox) = sync_channel(EVENTS_WAITING);
    let desk = match S::PLACES {
        None => desks.live(S::NAME),
        Some(places) => {
            let answers = events.clone();
            // A source that has ended asks again after its next start.
            let reply = move |answered: Answered| drop(S::hears(answered).map(|event| answers.send(event)));
            desks.requests(S::NAME, places, Box::new(reply))
        }
    };
    let ends = events.clone();
    let end = move || drop(ends.send(S::END));
    let pulse = match S::IS_VITAL {
        true => pulses.part(S::NAME, LONGEST_SILENCE_MS),
        false => pulses.guest(S::NAME, LONGEST_SILENCE_MS),
    };
    let room = Room { desk, inbox, events, pulse, stop: Arc::clone(stop) };
    let thread = std::thread::Builder::new().name(S::NAME.into()).spawn(move || source.run(room))?;
    Ok(Running { thread, end: Box::new(end) })
}
