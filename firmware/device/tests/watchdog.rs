//! What systemd hears of the device: that it is ready, that it gets on, and nothing while it does not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod bench;

use bench::{MeanGrey, PATIENCE, png};
use remedis_device::log::Log;
use remedis_device::stop::Stop;
use remedis_device::{Config, Device, HeatMap, ModelName, Opinion, Order, PredictFault, Predictor};
use remedis_imaging::{Depth, Image};
use std::io::{BufRead, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// systemd starts a device anew that it has not heard of for so long.
const WATCHDOG: Duration = Duration::from_millis(600);
/// The folder of the process below.
const FOLDER: &str = "REMEDIS_TEST_FOLDER";

/// A model that does not come to an end before it is let go.
struct Hanging(MeanGrey, Arc<Stop>);

impl Predictor for Hanging {
    fn name(&self) -> ModelName {
        self.0.name()
    }

    fn depth(&self) -> Depth {
        self.0.depth()
    }

    fn predict(&mut self, image: &Image) -> Result<Opinion, PredictFault> {
        assert!(self.1.wait(PATIENCE), "it is let go");
        self.0.predict(image)
    }

    fn heat_map(&mut self, _: &Image, _: u16, _: &mut dyn FnMut() -> bool) -> Option<HeatMap> {
        None
    }
}

#[test]
#[ignore = "runs in a process of its own, whose environment is systemd's"]
fn device_under_systemd() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let config = Config::open(&folder.join("device.toml")).unwrap();
    let (let_go, (orders, inbox)) = (Arc::new(Stop::default()), channel());
    let model = Hanging(MeanGrey(Arc::default()), Arc::clone(&let_go));
    let device = Device::open(&config, &Log::to(false, std::io::sink())).unwrap();
    let to_device = orders.clone();
    let device = std::thread::spawn(move || device.run(&config, Box::new(model), None, to_device, &inbox));
    for line in std::io::stdin().lock().lines() {
        match line.unwrap().as_str() {
            "hang" => std::fs::write(folder.join("inbox/a.png"), png(250)).unwrap(),
            _ => let_go.set(),
        }
    }
    orders.send(Order::End).unwrap();
    device.join().unwrap().unwrap();
}

/// The next word of the device; `None` when it says nothing for so long.
fn hear(socket: &UnixDatagram, patience: Duration) -> Option<String> {
    socket.set_read_timeout(Some(patience)).unwrap();
    let mut word = [0; 4096];
    match socket.recv(&mut word) {
        Ok(n) => Some(String::from_utf8_lossy(&word[..n]).into_owned()),
        Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(cause) => panic!("{cause}"),
    }
}

fn hear_of(socket: &UnixDatagram, what: &str) {
    let start = Instant::now();
    while !hear(socket, PATIENCE).unwrap().lines().any(|line| line == what) {
        assert!(start.elapsed() < PATIENCE, "{what} is not said");
    }
}

#[test]
fn the_watchdog_is_fed_while_images_are_judged_and_starves_while_the_model_hangs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inbox")).unwrap();
    let settings = "bundle = 'unused'\ntrusted_keys = ['unused']\n[folder]\npath = 'inbox'\nlook_every_s = 1\n[journal]\nanswers = \
         'answers.sqlite'\naudit = 'audit.log'\n[health]\nlongest_answer_s = 1\n";
    std::fs::write(folder.path().join("device.toml"), settings).unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let mut device = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "device_under_systemd", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .env("NOTIFY_SOCKET", folder.path().join("notify"))
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = device.stdin.take().unwrap();
    hear_of(&socket, "READY=1");
    for _ in 0..5 {
        hear_of(&socket, "WATCHDOG=1");
    }

    orders.write_all(b"hang\n").unwrap();
    let start = Instant::now();
    while hear(&socket, 2 * WATCHDOG).is_some() {
        assert!(start.elapsed() < PATIENCE, "the watchdog is fed although no image gets on");
    }
    assert!(start.elapsed() > Duration::from_secs(1), "an image may take as long as the settings say");

    orders.write_all(b"let go\n").unwrap();
    hear_of(&socket, "WATCHDOG=1");
    drop(orders);
    hear_of(&socket, "STOPPING=1");
    assert!(device.wait().unwrap().success());
}
