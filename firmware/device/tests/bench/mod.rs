//! A running device whose model is a rule: the mean grey level decides.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]
#![expect(dead_code, reason = "each test uses its part of the bench")]

use remedis_device::log::Log;
use remedis_device::{Config, Device, HeatMap, ModelName, Opinion, Order, PredictFault, Predictor};
use remedis_imaging::{Depth, Image};
use remedis_store::{Answers, Best, Record, Verdict};
use serialport::{SerialPort, TTYPort};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest wait for anything: a machine may be busy, and a test that hangs is worse than one that waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Bright or dark; in between it cannot say. An image of one pixel breaks it.
pub(crate) struct MeanGrey(pub(crate) Arc<AtomicUsize>);

impl Predictor for MeanGrey {
    fn name(&self) -> ModelName {
        ModelName {
            name: "mean grey".into(),
            version: "1.0.0".into(),
            digest: "00112233445566778899aabbccddeeff".repeat(2),
            classes: vec!["dark".into(), "bright".into()],
            confidence_threshold: 0.6,
            preprocessing: "none".into(),
            plan: "a rule".into(),
            is_on_trial: false,
        }
    }

    fn depth(&self) -> Depth {
        Depth::Eight
    }

    fn predict(&mut self, image: &Image) -> Result<Opinion, PredictFault> {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert_ne!((image.width, image.height), (1, 1), "the image that breaks this model");
        let mean = image.as_u8().iter().map(|&pixel| f32::from(pixel)).sum::<f32>() / image.samples.len() as f32;
        let bright = mean / 255.0;
        let (index, name, confidence) = if bright > 0.5 { (1, "bright", bright) } else { (0, "dark", 1.0 - bright) };
        let name = name.to_owned();
        let (verdict, reason) = if confidence < 0.6 {
            let best = Some(Best { index, name, confidence });
            (Verdict::CannotSay { reason: "neither dark nor bright".into(), best }, Some("low_confidence"))
        } else {
            (Verdict::Class { index, name, confidence }, None)
        };
        Ok(Opinion { verdict, reason, probabilities: vec![1.0 - bright, bright], gates: vec![] })
    }

    fn heat_map(&mut self, _: &Image, _: u16, keep_going: &mut dyn FnMut() -> bool) -> Option<HeatMap> {
        keep_going().then(|| HeatMap { rows: 1, columns: 1, relevance: vec![255], area: [0.0, 0.0, 1.0, 1.0] })
    }
}

/// A serial line: the end of the other side, and the port that the device opens.
pub(crate) struct Wire {
    pub(crate) far: TTYPort,
    pub(crate) port: PathBuf,
    /// Keeps the line up while the device has it closed; a plain file, so that the device gets its exclusive lock.
    _line: File,
}

impl Wire {
    pub(crate) fn new() -> Self {
        let (far, mut near) = TTYPort::pair().unwrap();
        let port = PathBuf::from(near.name().unwrap());
        near.set_exclusive(false).unwrap();
        let flags = rustix::fs::OFlags::NOCTTY.bits().cast_signed();
        let line = File::options().read(true).write(true).custom_flags(flags).open(&port).unwrap();
        Self { far, port, _line: line }
    }
}

/// What a device has said in its log.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    /// The lines that begin so, without their beginning.
    pub(crate) fn lines(&self, beginning: &str) -> Vec<String> {
        let said = self.0.lock().unwrap();
        let said = std::str::from_utf8(&said).unwrap();
        said.lines().filter_map(|line| line.strip_prefix(beginning)).map(str::to_owned).collect()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A running device.
pub(crate) struct Running {
    folder: PathBuf,
    pub(crate) said: Said,
    orders: Sender<Order>,
    device: JoinHandle<anyhow::Result<()>>,
    pub(crate) board: Arc<remedis_device::board::Board>,
    pub(crate) predictions: Arc<AtomicUsize>,
}

impl Running {
    /// Starts one in `folder` with these sections beside the journals'.
    pub(crate) fn start(folder: &Path, sections: &str) -> Self {
        let text = format!(
            "bundle = 'unused'\ntrusted_keys = ['unused']\n[journal]\nanswers = 'answers.sqlite'\naudit = 'audit.log'\n{sections}"
        );
        std::fs::write(folder.join("device.toml"), text).unwrap();
        let config = Config::open(&folder.join("device.toml")).unwrap();
        let (orders, inbox) = channel();
        let predictions = Arc::new(AtomicUsize::new(0));
        let model = MeanGrey(Arc::clone(&predictions));
        let said = Said::default();
        let device = Device::open(&config, &Log::to(false, said.clone())).unwrap();
        let (board, to_device) = (Arc::clone(device.board()), orders.clone());
        let device = std::thread::spawn(move || device.run(&config, Box::new(model), None, to_device, &inbox));
        Self { folder: folder.to_owned(), said, orders, device, board, predictions }
    }

    /// What the line of its only source has met of this kind.
    pub(crate) fn met(&self, kind: &str) -> u64 {
        self.board.look(|state| state.sources.first()?.counters.get(kind).copied()).unwrap_or_default()
    }

    pub(crate) fn n_predictions(&self) -> usize {
        self.predictions.load(Ordering::SeqCst)
    }

    /// Waits for it to end by itself: how it did.
    pub(crate) fn outcome(self) -> anyhow::Result<()> {
        self.device.join().unwrap()
    }

    /// Ends it: what is in its journal.
    pub(crate) fn stop(self) -> Vec<Record> {
        self.orders.send(Order::End).unwrap();
        self.device.join().unwrap().unwrap();
        journal(&self.folder)
    }
}

/// What is in the journal of the device in `folder`.
pub(crate) fn journal(folder: &Path) -> Vec<Record> {
    Answers::open_read_only(&folder.join("answers.sqlite")).unwrap().latest(1000).unwrap()
}

/// Waits until `is_so`.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen in {PATIENCE:?}");
        // Files of another thread's making have no event that a test could wait for.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A grey image of 64 x 48 as a PNG file.
pub(crate) fn png(level: u8) -> Vec<u8> {
    remedis_imaging::encode_png(&Image::new(64, 48, remedis_bundle::Channels::Grey, vec![level; 64 * 48]))
}
