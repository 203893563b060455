//! Puts the device together from its settings and runs it until it is told to end.

use crate::config::Config;
use crate::engine::{Engine, Event, Settings};
use crate::journal::{Journal, Recovered};
use crate::link;
use crate::log::{Log, Note};
use crate::screen::Screen;
use crate::stop::Stop;
use crate::worker::{Predictor, Worker};

use anyhow::Context;
use remedis_link::Identity;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Events that may wait; with 4 KiB of bytes each at most, this bounds what the link can pile up.
const EVENTS_WAITING: usize = 64;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When the journal cannot be opened or written, or the system refuses threads or signals. A missing port or display is
/// no error: the device waits for it.
pub fn until_signal(config: &Config, predictor: impl Predictor + 'static, log: &Log) -> anyhow::Result<()> {
    let (events, inbox) = sync_channel(EVENTS_WAITING);
    let stop = Arc::new(Stop::default());
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("listening for signals")?;
    let (to_stop, to_engine) = (Arc::clone(&stop), events.clone());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            to_stop.set();
            // An engine that has already ended needs no telling.
            let _ended = to_engine.send(Event::Stop);
        }
    })?;
    until(config, predictor, log, events, &inbox, &stop)
}

/// Runs until [`Event::Stop`] comes through `inbox`. `stop` ends the threads afterwards.
///
/// # Errors
/// As [`until_signal`].
pub fn until(
    config: &Config,
    predictor: impl Predictor + 'static,
    log: &Log,
    events: SyncSender<Event>,
    inbox: &Receiver<Event>,
    stop: &Arc<Stop>,
) -> anyhow::Result<()> {
    let (journal, recovered) = Journal::open(&config.journal.path)
        .with_context(|| format!("opening the journal {}", config.journal.path.display()))?;
    let model = predictor.name();
    note_start(log, &format!("{} {}", model.name, model.version), &model.digest, &recovered);
    let settings = Settings {
        identity: Identity { device_id: config.link.device_id, result_retry_ms: config.link.result_retry_ms },
        max_image_bytes: config.link.max_image_bytes,
        quiet_after_ms: config.link.quiet_after_ms,
        stale_after_ms: config.screen.as_ref().map_or(u64::MAX / 2, |screen| screen.stale_after_s.saturating_mul(1000)),
        model,
    };
    let screen = config.screen.clone().map(|screen| Screen::spawn(screen, log.clone())).transpose()?;
    let (worker, _model_thread) = Worker::spawn(predictor, events.clone())?;
    let mut door = screen.as_ref().map(Screen::door);
    let show = move |page| {
        if let Some(door) = &mut door {
            door(page);
        }
    };
    let link = link::spawn(config.link.clone(), events, Arc::clone(stop))?;
    let mut engine = Engine::new(settings, journal, worker, show, log.clone());
    let outcome = engine.run(inbox);
    stop.set();
    // Whatever the link thread still wants to say, so that it is not held up at the door.
    while !link.is_finished() {
        let _unheard = inbox.recv_timeout(std::time::Duration::from_millis(20));
    }
    outcome.context("the device cannot go on")
}

fn note_start(log: &Log, model: &str, bundle: &str, recovered: &Recovered) {
    if let Some(torn) = &recovered.torn {
        let kept_in = torn.kept_in.display().to_string();
        log.note(&Note::JournalRepaired { offset: torn.offset, bytes: torn.length, kept_in });
    }
    log.note(&Note::Started { model, bundle, answers: recovered.n_records });
}
