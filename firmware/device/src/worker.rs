//! Judges images beside the engine, so that the link is served while a model computes.

use crate::Event;
use crate::journal::{Entry, Verdict};
use remedis_bundle::{Channels, Depth};
use remedis_imaging::Image;
use remedis_link::{Format, FrameHeader};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What turns an image into an answer.
pub trait Predictor: Send {
    /// Who answers.
    fn name(&self) -> ModelName;

    /// Bits of a sample that it wants pictures decoded to.
    fn depth(&self) -> Depth;

    /// Judges one image.
    ///
    /// # Errors
    /// A reason for the reader, free of patient data, when this image cannot be judged at all.
    fn predict(&mut self, image: &Image) -> Result<Answer, String>;
}

/// Which model answers, as screen and journal say it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelName {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// The bundle's SHA-256 digest in hexadecimal.
    pub digest: String,
    /// Calibrated probability below which it cannot say, 0 to 1.
    pub confidence_threshold: f32,
}

/// What was decided about an image that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The decision.
    pub verdict: Verdict,
    /// Calibrated probability of each class, in the bundle's order.
    pub probabilities: Vec<f32>,
}

/// A whole image as it came over the link.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the hardware announced.
    pub header: FrameHeader,
    /// The image.
    pub bytes: Vec<u8>,
    /// When its last byte arrived.
    pub arrived: Instant,
}

/// An answered image.
#[derive(Debug)]
pub struct Judged {
    /// For the journal.
    pub entry: Entry,
    /// For the screen, with 8 bits a sample; none when it could not be read.
    pub image: Option<Arc<Image>>,
}

/// The thread that holds the model. Dropping it lets the thread end after its present image.
#[derive(Debug)]
pub struct Worker {
    jobs: SyncSender<Job>,
}

/// The worker thread has ended, by a fault in the model.
#[derive(Debug, thiserror::Error)]
#[error("the thread that judges images has ended")]
pub struct WorkerGone;

impl Worker {
    /// Starts the thread; answers arrive as [`Event::Judged`], and [`Event::WorkerGone`] if it dies.
    ///
    /// # Errors
    /// When the system has no room for a thread.
    pub fn spawn(
        mut predictor: impl Predictor + 'static,
        events: SyncSender<Event>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = sync_channel(1);
        let thread = std::thread::Builder::new().name("model".into()).spawn(move || {
            let alarm = Alarm(events);
            work(&mut predictor, &queue, &alarm.0);
        })?;
        Ok((Self { jobs }, thread))
    }

    /// Hands over an image. There is room for one that waits.
    ///
    /// # Errors
    /// When the thread has ended.
    pub fn judge(&self, job: Job) -> Result<(), WorkerGone> {
        self.jobs.send(job).map_err(|_unsent| WorkerGone)
    }
}

/// Tells the engine when the thread ends, also when it panics.
struct Alarm(SyncSender<Event>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _engine_gone = self.0.send(Event::WorkerGone);
        }
    }
}

fn work(predictor: &mut impl Predictor, queue: &Receiver<Job>, events: &SyncSender<Event>) {
    let model = predictor.name();
    for job in queue {
        let judged = judge(predictor, &model, job);
        if events.send(Event::Judged(Box::new(judged))).is_err() {
            return;
        }
    }
}

fn judge(predictor: &mut impl Predictor, model: &ModelName, job: Job) -> Judged {
    let Job { header, bytes, arrived } = job;
    let image_sha256 = hexadecimal(&Sha256::digest(&bytes));
    let read = read(&header, bytes, predictor.depth());
    let answer = read.as_ref().map_err(String::clone).and_then(|image| predictor.predict(image));
    let Answer { verdict, probabilities } = answer.unwrap_or_else(|reason| Answer {
        verdict: Verdict::Unreadable { reason: format!("unreadable image: {reason}") },
        probabilities: Vec::new(),
    });
    let entry = Entry {
        frame_id: header.id,
        image_crc32: header.crc,
        image_bytes: header.length,
        image_sha256,
        verdict,
        probabilities,
        bundle_digest: model.digest.clone(),
        model: format!("{} {}", model.name, model.version),
        latency_ms: milliseconds(arrived.elapsed()),
        unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).map(milliseconds).unwrap_or(0),
    };
    let shown = read.ok().map(|image| Arc::new(image.to_depth(Depth::Eight).into_owned()));
    Judged { entry, image: shown }
}

fn read(header: &FrameHeader, bytes: Vec<u8>, depth: Depth) -> Result<Image, String> {
    // The link let a raw header through only with the length its geometry asks for.
    let (width, height) = (header.width.into(), header.height.into());
    match header.format {
        Format::RawGrey8 => Ok(Image::new(width, height, Channels::Grey, bytes)),
        Format::RawRgb8 => Ok(Image::new(width, height, Channels::Rgb, bytes)),
        Format::Png | Format::Jpeg | Format::Dicom => {
            remedis_imaging::decode(&bytes, depth).map_err(|cause| chain(&cause))
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
