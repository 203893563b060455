//! The thread that holds the model and gives every answer.

use super::desk::{Answered, Desks, Reply};
use super::predictor::{ModelName, Opinion, PredictFault, Predictor};
use super::queue::{Job, Next, Picture, Queue};
use crate::board::{Board, Shown, for_people};
use crate::ledger::Ledger;
use crate::log::{Log, Note};
use crate::operation::alarm::Alarm;
use crate::operation::clock::{unix_ms, up_ms};
use crate::operation::pulse::Pulse;
use crate::stop::Stop;
use crate::telemetry::{Stage, Telemetry};
use remedis_imaging::{Depth, Image};
use remedis_store::{Answer, AppendError, Event, ModelId, Trace, Verdict};
use sha2::{Digest, Sha256};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Without an image for this long, the judge shows that it is alive.
const IDLE: Duration = Duration::from_secs(1);
/// Memory for decoding an image, in bytes: half of what systemd lets the device have (remedis-device.service).
const MAX_MEMORY: u64 = 256 << 20;
/// A journal that takes no answer is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What becomes known of the model while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It gave an opinion about an image, and the answer is durable.
    Answered,
    /// It failed, for this reason.
    Failed(String),
}

/// Why no more answers can be given by this run of the device. Nothing was told that is not durable.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be relied on any more")]
pub struct JournalBroken(#[from] AppendError);

/// The judge and what is around it.
pub struct Judge<P> {
    predictor: P,
    model: ModelName,
    queue: Arc<Queue>,
    ledger: Arc<Ledger>,
    board: Arc<Board>,
    log: Log,
    lanes: Vec<(&'static str, Option<Reply>)>,
    telemetry: Arc<Telemetry>,
    pulse: Pulse,
    stop: Arc<Stop>,
    health: Box<dyn FnMut(Health) + Send>,
    heat_map: Duration,
}

/// What a judge is told beside its desks.
pub struct Around {
    /// Where times are counted.
    pub telemetry: Arc<Telemetry>,
    /// The judge's sign of life.
    pub pulse: Pulse,
    /// Ends it.
    pub stop: Arc<Stop>,
    /// Hears how the model does.
    pub health: Box<dyn FnMut(Health) + Send>,
    /// Longest time for a heat-map; zero makes none.
    pub heat_map: Duration,
}

/// An answer and the picture it is about.
struct Judged {
    answer: Answer,
    reason: Option<&'static str>,
    image: Option<Image>,
    /// What it tells of the model; nothing, where the model never saw it.
    health: Option<Health>,
}

impl Judge<Box<dyn Predictor>> {
    /// A judge for all desks that were opened, with its first model.
    pub fn new(predictor: Box<dyn Predictor>, desks: Desks, around: Around) -> Self {
        let Desks { queue, ledger, board, log, lanes } = desks;
        let Around { telemetry, pulse, stop, health, heat_map } = around;
        let model = predictor.name();
        board.change(|state| state.model = model.clone());
        Self { predictor, model, queue, ledger, board, log, lanes, telemetry, pulse, stop, health, heat_map }
    }

    /// Answers until the queue is closed.
    ///
    /// # Errors
    /// When the journal is damaged: going on would be a lie.
    pub fn run(mut self) -> Result<(), JournalBroken> {
        loop {
            self.pulse.beat();
            match self.queue.next(IDLE) {
                Next::Job(lane, job) => self.answer(lane, job)?,
                Next::Model(predictor) => self.go_on_with(predictor),
                Next::Idle => {}
                Next::Over => {
                    self.pulse.end();
                    return Ok(());
                }
            }
        }
    }

    fn go_on_with(&mut self, predictor: Box<dyn Predictor>) {
        self.model = predictor.name();
        self.predictor = predictor;
        self.board.change(|state| state.model = self.model.clone());
    }

    fn answer(&mut self, lane: usize, job: Job) -> Result<(), JournalBroken> {
        self.board.change(|state| state.working = Some((lane, up_ms())));
        let (request, arrived_ms, n_skipped) = (job.request.clone(), job.arrived_ms, job.n_skipped);
        let Judged { mut answer, reason, image, health } = self.judge(lane, job);
        // A model that failed is left at once, also when its answer has to wait for the disk.
        let is_well = match health {
            Some(failed @ Health::Failed(_)) => {
                (self.health)(failed);
                false
            }
            Some(Health::Answered) => true,
            None => false,
        };
        let Some(sequence) = self.keep(&mut answer)? else { return Ok(()) };
        note_answer(&self.log, sequence, &answer);
        if let (Some(reply), Some(request)) = (&self.lanes[lane].1, request) {
            reply(Answered { request, sequence, answer: answer.clone() });
        }
        self.telemetry.answered(self.lanes[lane].0, &answer.verdict, reason, up_ms().saturating_sub(arrived_ms));
        let best = class_of(&answer.verdict);
        let seen = image.as_ref().map(|image| Arc::new(for_people(image)));
        let size = image.as_ref().map(|image| (image.width, image.height));
        let shown = Shown { sequence, source: lane, answer, reason, size, arrived_ms, image: seen, heat_map: None };
        self.board.change(|state| {
            state.sources[lane].n_answers += 1;
            state.sources[lane].n_skipped += n_skipped;
        });
        self.board.show(shown);
        if is_well {
            (self.health)(Health::Answered);
        }
        if let (Some(image), Some(class)) = (image, best) {
            self.explain(sequence, &image, class);
        }
        Ok(())
    }

    fn judge(&mut self, lane: usize, job: Job) -> Judged {
        let Job { request, picture, arrived_ms, n_skipped, link } = job;
        let mut timings = Timings::default();
        timings.add(Stage::Wait, Duration::from_millis(up_ms().saturating_sub(arrived_ms)), &self.telemetry);
        let image_sha256 = hexadecimal(&Sha256::digest(picture.bytes()));
        let image_bytes = picture.bytes().len() as u64;
        let start = Instant::now();
        let image = read(picture, self.predictor.depth());
        timings.add(Stage::Decode, start.elapsed(), &self.telemetry);
        let start = Instant::now();
        let opinion = match &image {
            Ok(image) => predict(&mut self.predictor, image),
            Err(reason) => Err(PredictFault::Image { reason: format!("unreadable image: {reason}") }),
        };
        timings.add(Stage::Judge, start.elapsed(), &self.telemetry);
        let health = match &opinion {
            Ok(_) => Some(Health::Answered),
            Err(PredictFault::Model { reason }) => Some(Health::Failed(reason.clone())),
            Err(PredictFault::Image { .. }) => None,
        };
        let opinion = opinion.unwrap_or_else(Opinion::from);
        let ModelName { name, version, digest, preprocessing, plan, .. } = self.model.clone();
        let answer = Answer {
            source: self.lanes[lane].0.to_owned(),
            request,
            image_sha256,
            image_bytes,
            verdict: opinion.verdict,
            probabilities: opinion.probabilities,
            model: ModelId { name, version, digest },
            unix_ms: unix_ms(),
            is_clock_trusted: self.board.look(|state| state.is_clock_trusted),
            boot: self.ledger.boot(),
            uptime_ms: up_ms(),
            trace: Trace {
                preprocessing,
                plan,
                gates: opinion.gates,
                timings_ms: timings.0,
                skipped_frames: n_skipped,
                link,
            },
        };
        Judged { answer, reason: opinion.reason, image: image.ok(), health }
    }

    /// Makes an answer durable, however long it takes: its number, or `None` when the device ends before. Meanwhile nothing is told.
    fn keep(&mut self, answer: &mut Answer) -> Result<Option<u64>, JournalBroken> {
        let start = Instant::now();
        let mut has_failed = false;
        loop {
            self.pulse.beat();
            let kept = self.ledger.append(answer);
            if kept.is_ok() {
                self.board.change(|state| state.n_answers += 1);
            }
            let alarm = match kept {
                Ok(sequence) | Err(AppendError::AlreadyAnswered { sequence }) => {
                    self.kept(start, has_failed);
                    return Ok(Some(sequence));
                }
                Err(cause @ (AppendError::Corrupt { .. } | AppendError::Invalid { .. })) => return Err(cause.into()),
                Err(AppendError::Full { .. }) => Alarm::DiskFull,
                Err(AppendError::ReadOnly { .. }) => Alarm::JournalReadOnly,
                Err(_) => Alarm::JournalFault,
            };
            if self.board.raise(alarm, "") {
                self.log.note(&Note::JournalFault { reason: alarm.code() });
                self.audit(&Event::StoreFault { what: alarm.code().to_owned() });
            }
            has_failed = true;
            if self.stop.wait(TRY_AGAIN) {
                return Ok(None);
            }
        }
    }

    /// The journal took an answer that came at `start`, after it had refused it where it `had_failed`.
    fn kept(&self, start: Instant, had_failed: bool) {
        self.telemetry.observe(Stage::Store, start.elapsed());
        for alarm in [Alarm::DiskFull, Alarm::JournalReadOnly, Alarm::JournalFault] {
            self.board.clear(alarm);
        }
        if had_failed {
            self.log.note(&Note::JournalBack);
            self.audit(&Event::StoreRecovered);
        }
    }

    /// On a full disk the audit log may take nothing either; the log for people has it then.
    fn audit(&self, event: &Event) {
        if let Err(cause) = self.ledger.audit(event) {
            self.log.note(&Note::AuditFault { reason: &cause.to_string() });
        }
    }

    /// Shows where the evidence lies, unless another image comes first.
    fn explain(&mut self, sequence: u64, image: &Image, class: u16) {
        if self.heat_map.is_zero() {
            return;
        }
        let (start, limit, queue) = (Instant::now(), self.heat_map, Arc::clone(&self.queue));
        let mut keep_going = || start.elapsed() < limit && !queue.is_waiting();
        let made = catch_unwind(AssertUnwindSafe(|| self.predictor.heat_map(image, class, &mut keep_going)));
        self.telemetry.observe(Stage::HeatMap, start.elapsed());
        if let Ok(Some(map)) = made {
            self.board.show_heat_map(sequence, map);
        }
    }
}

/// Milliseconds by stage, for the trace.
#[derive(Default)]
struct Timings(Vec<(String, f64)>);

impl Timings {
    fn add(&mut self, stage: Stage, took: Duration, telemetry: &Telemetry) {
        telemetry.observe(stage, took);
        // To the microsecond.
        let took_ms = took.as_micros() as f64 / 1000.0;
        self.0.push((stage.name().to_owned(), took_ms));
    }
}

/// A model that panics has failed, and the device goes on.
fn predict(predictor: &mut Box<dyn Predictor>, image: &Image) -> Result<Opinion, PredictFault> {
    catch_unwind(AssertUnwindSafe(|| predictor.predict(image)))
        .unwrap_or_else(|_panic| Err(PredictFault::Model { reason: "the model stopped in the middle".into() }))
}

/// An image that makes its decoder panic is unreadable like any other, and the device goes on.
fn read(picture: Picture, depth: Depth) -> Result<Image, String> {
    catch_unwind(AssertUnwindSafe(|| decode(picture, depth)))
        .unwrap_or_else(|_panic| Err("its decoder stopped in the middle".into()))
}

fn decode(picture: Picture, depth: Depth) -> Result<Image, String> {
    match picture {
        Picture::File(bytes) => {
            remedis_imaging::decode_within(&bytes, depth, MAX_MEMORY).map_err(|cause| chain(&cause))
        }
        Picture::Raw { width, height, channels, samples } => {
            let expected = width as usize * height as usize * channels.count();
            if samples.len() != expected || expected == 0 {
                return Err(format!("{} bytes for {width} x {height} pixels, expected {expected}", samples.len()));
            }
            Ok(Image::new(width, height, channels, samples))
        }
    }
}

/// The class that a verdict is about.
fn class_of(verdict: &Verdict) -> Option<u16> {
    match verdict {
        Verdict::Class { index, .. } => Some(*index),
        Verdict::CannotSay { best, .. } => best.as_ref().map(|best| best.index),
        Verdict::Unreadable { .. } => None,
    }
}

fn note_answer(log: &Log, answer: u64, kept: &Answer) {
    let (source, sha256) = (kept.source.as_str(), kept.image_sha256.as_str());
    log.note(&match &kept.verdict {
        Verdict::Class { name, confidence, .. } => Note::Answered {
            answer,
            source,
            sha256,
            decision: "class",
            class: Some(name),
            confidence: Some(*confidence),
        },
        Verdict::CannotSay { .. } => {
            Note::Answered { answer, source, sha256, decision: "cannot_say", class: None, confidence: None }
        }
        Verdict::Unreadable { reason } => Note::Unreadable { answer, source, sha256, reason },
    });
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Bytes as lower-case digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
