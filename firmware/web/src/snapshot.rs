//! What the pages show, as plain fields. Times are milliseconds since 1970 in UTC. Names of alarms, reasons, checks, counters and stages
//! are the device's own; the pages have words for them, and show what they have none for as it is.

use serde::Serialize;

/// How the device is at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The device's clock.
    pub now_unix_ms: u64,
    /// Local time less UTC, in minutes.
    pub utc_offset_minutes: i16,
    /// Whether the clock was set from a source that deserves trust.
    pub is_clock_trusted: bool,
    /// Seconds since the program started.
    pub uptime_s: u64,
    /// What somebody should see to, the gravest first.
    pub alarms: Vec<Alarm>,
    /// Where images come from.
    pub sources: Vec<Source>,
    /// What answers; none when nothing does.
    pub model: Option<Model>,
    /// Where answers are kept.
    pub store: Store,
    /// The processor's temperature.
    pub temperature_celsius: Option<f32>,
    /// Memory that the program holds.
    pub memory_bytes: Option<u64>,
    /// The program's version.
    pub version: String,
    /// The last answer.
    pub newest: Option<ResultSummary>,
}

/// How grave an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Work goes on, with something missing.
    Warning,
    /// Work does not go on.
    Failure,
}

/// Something that somebody should see to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// How grave it is.
    pub severity: Severity,
    /// Its name, such as `disk_full`.
    pub name: String,
    /// More about it; empty where there is no more.
    pub detail: String,
    /// Since when.
    pub since_unix_ms: u64,
}

/// What a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Ready; nothing has spoken lately.
    Waiting,
    /// The imaging hardware is there.
    Connected,
    /// An image is arriving.
    Receiving,
    /// Gone; the device tries again by itself.
    Lost,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// Its name in the configuration.
    pub name: String,
    /// What it is doing.
    pub state: SourceState,
    /// Why it is lost.
    pub detail: Option<String>,
    /// What it counted, as far as there was any.
    pub counters: Vec<Counter>,
}

/// A number that only grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// What is counted.
    pub name: String,
    /// How many so far.
    pub value: u64,
}

/// What answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// The bundle's SHA-256 digest in hexadecimal.
    pub digest: String,
    /// Calibrated probability below which it cannot say, 0 to 1.
    pub threshold: f32,
}

/// Where answers are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Store {
    /// Whether answers can be kept now.
    pub is_writable: bool,
    /// Answers that are kept; none while they cannot be opened.
    pub records: Option<u64>,
    /// Bytes that they take on the disk.
    pub used_bytes: Option<u64>,
    /// Bytes that the disk has left.
    pub disk_free_bytes: Option<u64>,
    /// Bytes that the disk has in all.
    pub disk_total_bytes: Option<u64>,
}

/// What was decided about an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verdict {
    /// It shows this.
    Class {
        /// The class.
        name: String,
    },
    /// The device declines to name a class. As good a result as any other.
    CannotSay,
    /// The image could not be read or judged.
    Unreadable,
}

/// How probable a class is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probability {
    /// The class.
    pub class: String,
    /// Calibrated probability, 0 to 1.
    pub probability: f32,
}

/// Why there is no class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Its name, such as `low_confidence`; none where only its words are known.
    pub name: Option<String>,
    /// The words that are kept with the answer, in the language of whoever gave it.
    pub words: String,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultSummary {
    /// Its number in the store.
    pub sequence: u64,
    /// When it was given.
    pub unix_ms: u64,
    /// Where the image came from: the source's name.
    pub source: String,
    /// What was decided.
    pub verdict: Verdict,
    /// Calibrated probability of the named or nearest class, 0 to 1.
    pub confidence: Option<f32>,
    /// Calibrated probability below which it cannot say, 0 to 1.
    pub threshold: Option<f32>,
    /// Probability of each class.
    pub probabilities: Vec<Probability>,
    /// Why it cannot say, or could not read.
    pub reason: Option<Reason>,
    /// Whether it is too old to be taken for the present.
    pub is_stale: bool,
    /// Whether its picture is kept.
    pub has_picture: bool,
    /// Whether a heat-map is kept.
    pub has_heat_map: bool,
    /// What answered: the bundle's name and version.
    pub model: String,
    /// Milliseconds from the image's last byte to the decision, which is then kept and told.
    pub latency_ms: f64,
}

/// One answer and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResultDetail {
    /// The answer.
    pub summary: ResultSummary,
    /// How it came about.
    pub trace: Trace,
}

/// How an answer came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trace {
    /// SHA-256 digest of the image as it arrived, in hexadecimal.
    pub image_sha256: String,
    /// Bytes of the image as it arrived.
    pub image_bytes: u64,
    /// Pixels across and down, as long as that is known.
    pub size: Option<(u32, u32)>,
    /// What was done before the model saw it.
    pub preprocessing: String,
    /// SHA-256 digest of the bundle, in hexadecimal.
    pub bundle_digest: String,
    /// What executed the model.
    pub plan: String,
    /// What was asked of the image before its answer counted.
    pub gates: Vec<Gate>,
    /// What took how long.
    pub stages: Vec<Stage>,
    /// Frames of a live source that were passed over for this one.
    pub skipped_frames: u64,
}

/// Something asked of an image before its answer counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// What is looked at.
    pub name: String,
    /// What was found; none where it cannot be measured.
    pub value: Option<f64>,
    /// The least that passes.
    pub low: Option<f64>,
    /// The most that passes.
    pub high: Option<f64>,
    /// Whether the image passed.
    pub is_passed: bool,
}

/// A step of the work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub milliseconds: f64,
}

/// Answers over time, in spans of equal length, the oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Local time less UTC, in minutes.
    pub utc_offset_minutes: i16,
    /// Length of a span in seconds.
    pub bucket_s: u32,
    /// The classes, in the bundle's order.
    pub classes: Vec<String>,
    /// The spans.
    pub buckets: Vec<Bucket>,
}

/// The answers of one span of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// When it starts.
    pub start_unix_ms: u64,
    /// Answers that name each class, in the order of [`Trend::classes`].
    pub by_class: Vec<u32>,
    /// Answers that decline.
    pub cannot_say: u32,
    /// Images that could not be read.
    pub unreadable: u32,
    /// Half of the answers took no longer than this, from the last byte until kept and told; none where that was not measured.
    pub latency_ms_p50: Option<f32>,
    /// 95 of 100 answers took no longer than this.
    pub latency_ms_p95: Option<f32>,
}
