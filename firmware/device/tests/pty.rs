//! The whole device over a pseudo-terminal, with the link's own sender as the imaging hardware and a model that is a
//! rule: the mean grey level decides.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use remedis_device::journal::{Journal, Verdict};
use remedis_device::log::Log;
use remedis_device::stop::Stop;
use remedis_device::{Answer, Config, Event, ModelName, Predictor, run};
use remedis_imaging::{Depth, Image};
use remedis_link::{Decision, Format, FrameHeader, Heard, NakReason, Outcome, Packet, Sender, Timing};
use serialport::{SerialPort, TTYPort};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

struct MeanGrey(Arc<AtomicUsize>);

impl Predictor for MeanGrey {
    fn name(&self) -> ModelName {
        let digest = "00112233445566778899aabbccddeeff".repeat(2);
        ModelName { name: "mean grey".into(), version: "1.0.0".into(), digest, confidence_threshold: 0.6 }
    }

    fn depth(&self) -> Depth {
        Depth::Eight
    }

    fn predict(&mut self, image: &Image) -> Result<Answer, String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let mean = image.as_u8().iter().map(|&pixel| f32::from(pixel)).sum::<f32>() / image.samples.len() as f32;
        let bright = mean / 255.0;
        let (index, name, confidence) = if bright > 0.5 { (1, "bright", bright) } else { (0, "dark", 1.0 - bright) };
        let name = name.to_owned();
        let verdict = if confidence < 0.6 {
            Verdict::CannotSay { reason: "neither dark nor bright".into(), index, name, confidence }
        } else {
            Verdict::Class { index, name, confidence }
        };
        Ok(Answer { verdict, probabilities: vec![1.0 - bright, bright] })
    }
}

/// A running device and the hardware's end of its line.
struct Bench {
    hardware: TTYPort,
    /// Keeps the line up while the device has it closed; a plain file, so that the device gets its exclusive lock.
    _line: File,
    events: SyncSender<Event>,
    device: Option<JoinHandle<()>>,
    predictions: Arc<AtomicUsize>,
}

impl Bench {
    fn start(folder: &Path) -> Self {
        let (hardware, mut device_end) = TTYPort::pair().unwrap();
        let port = device_end.name().unwrap();
        device_end.set_exclusive(false).unwrap();
        let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
        let line = File::options().read(true).write(true).custom_flags(flags).open(&port).unwrap();
        drop(device_end);
        let text = format!(
            "bundle = 'unused'\ntrusted_keys = ['unused']\n[link]\nport = '{port}'\nbaud = 115200\nresult_retry_ms = 50\n\
             [journal]\npath = 'journal'\n[screen]\npng = 'screen.png'\nwidth = 320\nheight = 240\n"
        );
        std::fs::write(folder.join("device.toml"), text).unwrap();
        let config = Config::open(&folder.join("device.toml")).unwrap();
        let (events, inbox) = sync_channel(16);
        let predictions = Arc::new(AtomicUsize::new(0));
        let model = MeanGrey(Arc::clone(&predictions));
        let to_engine = events.clone();
        let device = std::thread::spawn(move || {
            let log = Log::to(false, std::io::sink());
            run::until(&config, model, &log, to_engine, &inbox, &Arc::new(Stop::default())).unwrap();
        });
        Self { hardware, _line: line, events, device: Some(device), predictions }
    }

    /// Sends one frame until it is answered or refused.
    fn ask(&mut self, header: FrameHeader, image: &[u8]) -> Heard {
        let timing = Timing { ack_ms: 100, result_ms: 200, keepalive_ms: 1000, retries: 20 };
        let mut sender = Sender::new(1, timing);
        sender.send(0, header, image.to_vec()).unwrap();
        let (start, mut packet, mut bytes) = (Instant::now(), Packet::new(), [0; 512]);
        let mut answer = None;
        while start.elapsed() < Duration::from_secs(20) {
            let now_ms = start.elapsed().as_millis() as u64;
            while sender.poll(now_ms, &mut packet) {
                self.hardware.write_all(packet.as_bytes()).unwrap();
            }
            if let Some(answer) = answer {
                return answer;
            }
            let wait_ms = sender.due_ms().saturating_sub(now_ms).clamp(1, 100);
            self.hardware.set_timeout(Duration::from_millis(wait_ms)).unwrap();
            match self.hardware.read(&mut bytes) {
                Ok(n) => {
                    let mut rest = &bytes[..n];
                    loop {
                        match sender.receive(now_ms, &mut rest) {
                            Heard::Nothing => break,
                            heard @ (Heard::Answered(_) | Heard::Refused { .. }) => answer = Some(heard),
                            Heard::Connected { .. } | Heard::Fault { .. } => {}
                        }
                    }
                }
                Err(cause) if cause.kind() == ErrorKind::TimedOut => {}
                Err(cause) => panic!("{cause}"),
            }
        }
        panic!("no answer in 20 s: {:?}", sender.counters());
    }

    fn ask_grey(&mut self, id: u64, level: u8) -> Outcome {
        let image = vec![level; 64 * 48];
        match self.ask(FrameHeader::new(id, Format::RawGrey8, 64, 48, &image).unwrap(), &image) {
            Heard::Answered(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn predictions(&self) -> usize {
        self.predictions.load(Ordering::SeqCst)
    }

    fn stop(mut self) {
        self.events.send(Event::Stop).unwrap();
        self.device.take().unwrap().join().unwrap();
    }
}

#[test]
fn frames_are_answered_journalled_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(folder.path());
    let bright = bench.ask_grey(1, 255);
    assert_eq!((bright.decision, bright.class, bright.confidence), (Decision::Class, 1, 10_000));
    assert_eq!(bright.model, [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]);
    let middling = bench.ask_grey(2, 120);
    assert_eq!((middling.decision, middling.class), (Decision::CannotSay, 0));
    bench.stop();

    let (mut journal, recovered) = Journal::open(&folder.path().join("journal")).unwrap();
    assert_eq!((recovered.n_records, recovered.torn), (2, None));
    assert_eq!(journal.find(1).unwrap().unwrap().outcome(), bright);
    let page = image::open(folder.path().join("screen.png")).unwrap();
    assert_eq!((page.width(), page.height()), (320, 240));
}

#[test]
fn an_answered_frame_is_answered_from_the_journal_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(folder.path());
    let first = bench.ask_grey(7, 250);
    assert_eq!(bench.ask_grey(7, 250), first);
    assert_eq!(bench.predictions(), 1);
    bench.stop();
    let mut bench = Bench::start(folder.path());
    assert_eq!(bench.ask_grey(7, 250), first);
    assert_eq!(bench.predictions(), 0);
    bench.stop();
}

#[test]
fn another_image_under_an_answered_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(folder.path());
    bench.ask_grey(3, 250);
    let image = vec![1; 64 * 48];
    let heard = bench.ask(FrameHeader::new(3, Format::RawGrey8, 64, 48, &image).unwrap(), &image);
    assert!(matches!(heard, Heard::Refused { frame_id: 3, reason: NakReason::IdReused, .. }), "{heard:?}");
    bench.stop();
}

#[test]
fn an_unreadable_image_gets_an_answer_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(folder.path());
    let image = b"this is no PNG file at all".to_vec();
    let heard = bench.ask(FrameHeader::new(5, Format::Png, 0, 0, &image).unwrap(), &image);
    let Heard::Answered(outcome) = heard else { panic!("{heard:?}") };
    assert_eq!((outcome.decision, outcome.class), (Decision::Unreadable, Outcome::NO_CLASS));
    assert_eq!(bench.predictions(), 0);
    bench.stop();
    let (mut journal, _) = Journal::open(&folder.path().join("journal")).unwrap();
    let Verdict::Unreadable { reason } = journal.find(5).unwrap().unwrap().verdict else { panic!() };
    assert!(reason.starts_with("unreadable image: "), "{reason}");
}

#[test]
fn a_device_without_its_port_still_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(folder.path());
    bench.ask_grey(1, 255);
    let (spare, _other) = TTYPort::pair().unwrap();
    // The hardware is unplugged: its end of the line is closed.
    drop(std::mem::replace(&mut bench.hardware, spare));
    bench.stop();
}
