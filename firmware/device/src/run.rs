//! Puts the device together from its settings and runs it until it is told to end.

use crate::board::Board;
use crate::in_force;
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::models::{self, Models, Tell};
use crate::notice::{self, Notice};
use crate::operation::alarm::Alarm;
use crate::operation::clock::{is_plausible, unix_ms, up_ms};
use crate::operation::pulse::Pulses;
use crate::operation::watch::{Watch, tell};
use crate::pipeline::{Around, Desks, Health, Judge, ModelName, Predictor, Queue};
use crate::screen::{self, Screen};
use crate::source::{self, FolderSource, LinkSource, OpenMvSource, Running};
use crate::spool;
use crate::stop::Stop;
use crate::telemetry::Telemetry;
use crate::waiting;
use crate::web::{self, DeviceView, Door, Logins};
use remedis_settings::{Config, Page};

use anyhow::{Context, bail};
use remedis_store::Event;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What systemd calls the end of a device that took more memory than it may have (systemd.exec(5), `$SERVICE_RESULT`).
pub const OUT_OF_MEMORY: &str = "oom-kill";
/// The screen that was silent for so long hangs.
const SCREEN_SILENCE_MS: u64 = 30_000;

/// What the device is told while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The operator changed something: look at the models again.
    Look,
    /// End.
    End,
    /// The judge has ended by itself, which it never should.
    JudgeGone,
}

/// Runs until SIGTERM or SIGINT; SIGHUP has it look at its models again.
///
/// # Errors
/// When the journals cannot be opened (a full or read-only disk is waited for), no model can be used, the web page has no token, or the
/// system refuses threads or signals. A missing port, camera, folder, display or address is no error: the device waits for it.
pub fn until_signal(config: &Config, log: &Log) -> anyhow::Result<()> {
    let outcome = begin(config, log);
    if let Err(cause) = &outcome
        && !cause.downcast_ref().is_some_and(notice::is_in_use)
    {
        // The log has why it ended; without a screen there is nobody else to tell.
        let _unseen = Notice::leave(config, notice::alarm_of(cause), log);
    }
    outcome
}

/// Leaves word of a device that the system ended: a last page on its screen, and an event for its next start.
///
/// # Errors
/// When neither can be left.
pub fn leave_word(config: &Config, how: &str, log: &Log) -> anyhow::Result<()> {
    let alarm = if how == OUT_OF_MEMORY { Alarm::OutOfMemory } else { Alarm::Stopped };
    let shown = Notice::leave(config, alarm, log).context("drawing the last page");
    spool::leave(&config.journal.audit, &Event::Stopped { reason: how.to_owned() })
        .context("leaving the event for the audit log")
        .and(shown)
}

fn begin(config: &Config, log: &Log) -> anyhow::Result<()> {
    let (orders, inbox) = channel();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("listening for signals")?;
    let to_device = orders.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let order = if signal == SIGHUP { Order::Look } else { Order::End };
            // A device that has already ended needs no telling.
            if to_device.send(order).is_err() {
                return;
            }
        }
    })?;
    let Some(device) = waiting::open(config, log, &inbox)? else {
        return Ok(Notice::leave(config, Alarm::Stopped, log)?);
    };
    device.recall(&config.journal.audit);
    let mut models = Models::open(config)?;
    let around = device.around_models(config);
    let model = models.start(&mut |change| around.write_down(change))?;
    device.run(config, around.announce(model), Some(models), orders, &inbox)
}

/// The books, and what every part shares.
pub struct Device {
    ledger: Arc<Ledger>,
    board: Arc<Board>,
    queue: Arc<Queue>,
    log: Log,
}

impl Device {
    /// Opens the journals and writes down that the device starts, and with which settings.
    ///
    /// # Errors
    /// When they cannot be opened or written.
    pub fn open(config: &Config, log: &Log) -> anyhow::Result<Self> {
        let (ledger, opened) = Ledger::open(&config.journal)?;
        if opened.is_recovered {
            log.note(&Note::JournalRecovered);
        }
        if let Some((bytes, kept_in)) = &opened.torn {
            log.note(&Note::AuditRepaired { bytes: *bytes, kept_in });
        }
        ledger.audit(&Event::Started { version: env!("CARGO_PKG_VERSION").to_owned() })?;
        for event in in_force::events(config, &opened.in_force) {
            ledger.audit(&event)?;
        }
        let board = Board::default();
        board.change(|state| {
            (state.n_answers, state.started_ms) = (opened.n_answers, up_ms());
            state.is_clock_trusted = is_plausible(unix_ms());
        });
        let (ledger, board, queue) = (Arc::new(ledger), Arc::new(board), Arc::default());
        Ok(Self { ledger, board, queue, log: log.clone() })
    }

    /// What people may see.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Shows how the last run ended, where that matters to people: the system left word of it.
    fn recall(&self, audit: &Path) {
        let is_memory = |event: &Event| *event == Event::Stopped { reason: OUT_OF_MEMORY.to_owned() };
        match spool::waiting_for(audit) {
            Ok(events) if events.iter().any(is_memory) => drop(self.board.raise(Alarm::OutOfMemory, "")),
            Ok(_) => {}
            Err(cause) => self.log.note(&Note::AuditFault { reason: &cause.to_string() }),
        }
    }

    fn around_models(&self, config: &Config) -> models::Around {
        models::Around {
            queue: Arc::clone(&self.queue),
            ledger: Arc::clone(&self.ledger),
            board: Arc::clone(&self.board),
            log: self.log.clone(),
            audit: config.journal.audit.clone(),
        }
    }

    /// Runs with `model` until it is ordered to end; `models` keeps the others, where there are any.
    ///
    /// # Errors
    /// When a part cannot be started, the web page has no token, or the journal is damaged while it runs.
    pub fn run(
        self,
        config: &Config,
        model: Box<dyn Predictor>,
        models: Option<Models>,
        orders: Sender<Order>,
        inbox: &Receiver<Order>,
    ) -> anyhow::Result<()> {
        let page = config.web.as_ref().map(web::settings).transpose()?;
        let (stop, pulses, telemetry) = (Arc::new(Stop::default()), Pulses::default(), Arc::new(Telemetry::default()));
        let name = model.name();
        let (label, answers) = (format!("{} {}", name.name, name.version), self.board.look(|state| state.n_answers));
        let mut desks =
            Desks::new(Arc::clone(&self.queue), Arc::clone(&self.ledger), Arc::clone(&self.board), self.log.clone());
        let sources = start_sources(config, &mut desks, &pulses, &stop)?;
        let (tell_models, models_inbox) = channel();
        let keeper = self.keep(config, models, models_inbox)?;
        let health = tell_models.clone();
        let around = Around {
            telemetry: Arc::clone(&telemetry),
            pulse: pulses.part("judge", config.health.longest_answer_s.saturating_mul(1000)),
            stop: Arc::clone(&stop),
            // Without a keeper nobody asks.
            health: Box::new(move |how: Health| drop(health.send(Tell::Health(how)))),
            heat_map: Duration::from_millis(config.health.heat_map_ms),
        };
        let judge = start_judge(Judge::new(model, desks, around), orders)?;
        let screen = self.show(config, &pulses, &stop)?;
        let watch = self.watch(config, &pulses, &stop)?;
        let open = |settings| Door::open(settings, Arc::new(self.view(config, &telemetry)?), &stop);
        let door = page.map(open).transpose()?;
        self.log.note(&Note::Started { model: &label, bundle: &name.digest, answers });
        let ModelName { name, version, digest, .. } = name;
        self.audit(&Event::BundleInUse { digest, name, version });
        tell(&[NotifyState::Ready]);

        obey(inbox, &tell_models);
        tell(&[NotifyState::Stopping]);
        stop.set();
        self.queue.close();
        let outcome = judge.join().unwrap_or_else(|_panic| bail!("the thread that judges images has ended by a fault"));
        sources.into_iter().for_each(Running::join);
        if let Some(door) = door {
            door.close();
        }
        self.leave_the_board();
        // A keeper that has ended needs no telling.
        let _ended = tell_models.send(Tell::End);
        for thread in [screen, keeper, Some(watch)].into_iter().flatten() {
            // A part that panicked has ended too.
            let _panicked = thread.join();
        }
        self.note_stop(&outcome);
        outcome
    }

    /// What people see from now on is no result: a panel keeps its last page.
    fn leave_the_board(&self) {
        self.board.change(|state| {
            state.recent.clear();
            (state.working, state.page) = (None, Page::Alarms);
            state.alarms.raise(Alarm::Stopped, up_ms(), "");
        });
        self.board.close();
    }

    fn note_stop(&self, outcome: &anyhow::Result<()>) {
        let reason = match outcome {
            Ok(()) => "ordered to end".to_owned(),
            Err(cause) => format!("{cause:#}"),
        };
        self.audit(&Event::Stopped { reason });
        self.log.note(&Note::Stopped { answers: self.board.look(|state| state.n_answers) });
    }

    /// Writes an event down; on a disk that takes nothing the log for people has it.
    pub(crate) fn audit(&self, event: &Event) {
        if let Err(cause) = self.ledger.audit(event) {
            self.log.note(&Note::AuditFault { reason: &cause.to_string() });
        }
    }

    fn keep(
        &self,
        config: &Config,
        models: Option<Models>,
        inbox: Receiver<Tell>,
    ) -> std::io::Result<Option<JoinHandle<()>>> {
        let Some(models) = models else { return Ok(None) };
        let around = self.around_models(config);
        std::thread::Builder::new().name("models".into()).spawn(move || models.run(&inbox, &around)).map(Some)
    }

    fn show(&self, config: &Config, pulses: &Pulses, stop: &Arc<Stop>) -> std::io::Result<Option<JoinHandle<()>>> {
        let Some(settings) = config.screen.clone() else { return Ok(None) };
        if let Some(input) = settings.input.clone() {
            screen::listen(input, Arc::clone(&self.board), Arc::clone(stop))?;
        }
        self.board.change(|state| state.page = settings.page);
        let stale_after_ms = config.health.stale_after_s.saturating_mul(1000);
        let (board, ledger) = (Arc::clone(&self.board), Some(Arc::clone(&self.ledger)));
        let screen = Screen::new(settings, board, ledger, stale_after_ms, self.log.clone());
        let pulse = pulses.part("screen", SCREEN_SILENCE_MS);
        std::thread::Builder::new().name("screen".into()).spawn(move || screen.run(&pulse)).map(Some)
    }

    fn watch(&self, config: &Config, pulses: &Pulses, stop: &Arc<Stop>) -> std::io::Result<JoinHandle<()>> {
        let watch = Watch {
            pulses: pulses.clone(),
            board: Arc::clone(&self.board),
            ledger: Arc::clone(&self.ledger),
            health: config.health.clone(),
            journal: config.journal.clone(),
            log: self.log.clone(),
        };
        let stop = Arc::clone(stop);
        std::thread::Builder::new().name("watch".into()).spawn(move || watch.run(&stop))
    }

    fn view(&self, config: &Config, telemetry: &Arc<Telemetry>) -> io::Result<DeviceView> {
        Ok(DeviceView {
            board: Arc::clone(&self.board),
            ledger: Some(Arc::clone(&self.ledger)),
            telemetry: Arc::clone(telemetry),
            queue: Arc::clone(&self.queue),
            stale_after_ms: config.health.stale_after_s.saturating_mul(1000),
            log: self.log.clone(),
            logins: Logins::new(Some(Arc::clone(&self.ledger)), self.log.clone())?,
        })
    }
}

/// Passes orders on until the end is ordered or the judge is gone.
fn obey(inbox: &Receiver<Order>, models: &Sender<Tell>) {
    while let Ok(Order::Look) = inbox.recv() {
        // A keeper that has ended has nothing to look at.
        let _ended = models.send(Tell::Look);
    }
}

fn start_sources(
    config: &Config,
    desks: &mut Desks,
    pulses: &Pulses,
    stop: &Arc<Stop>,
) -> anyhow::Result<Vec<Running>> {
    let mut running = vec![];
    if let Some(link) = config.link.clone() {
        running.push(source::start(LinkSource::new(link), desks, pulses, stop)?);
    }
    if let Some(openmv) = config.openmv.clone() {
        let place = openmv.script.clone().unwrap_or_default();
        let camera =
            OpenMvSource::new(openmv).with_context(|| format!("reading the camera's script {}", shown(&place)))?;
        running.push(source::start(camera, desks, pulses, stop)?);
    }
    if let Some(folder) = config.folder.clone() {
        running.push(source::start(FolderSource::new(folder), desks, pulses, stop)?);
    }
    Ok(running)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn start_judge(
    judge: Judge<Box<dyn Predictor>>,
    orders: Sender<Order>,
) -> std::io::Result<JoinHandle<anyhow::Result<()>>> {
    /// Tells of the judge's end, also when it panics.
    struct Bell(Sender<Order>);
    impl Drop for Bell {
        fn drop(&mut self) {
            // A device that has ended is not interested.
            let _ended = self.0.send(Order::JudgeGone);
        }
    }
    std::thread::Builder::new().name("judge".into()).spawn(move || {
        let _bell = Bell(orders);
        judge.run().context("the device cannot go on")
    })
}
