//! SIGKILL at random moments while images come in over every input at once: nothing that was acknowledged is lost, nothing is answered
//! twice, and the audit chain verifies.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use remedis_e2e::{Moments, Tiny, program, say};
use serde_json::Value;

const N_KILLS: u32 = 200;
/// Frames of the link, at most so many a second: they last as long as the kills do.
const N_FRAMES: &str = "1500";
const FRAMES_A_SECOND: &str = "20";
const FILE_EVERY: Duration = Duration::from_millis(150);
/// A kill comes this long at most after the device has started.
const LONGEST_LIFE_MS: u64 = 300;
/// The journal is compared with what was acknowledged after this many kills.
const CHECK_EVERY: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that ends with the test, however that ends.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> std::io::Result<Self> {
        command.spawn().map(Self)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Waits for the end: whether it was a good one.
    fn ends_well(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }

    /// All of its standard output.
    fn output(&mut self) -> String {
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already in the good case; in the bad one there is nobody to tell.
        let _ended = (self.0.kill(), self.0.wait());
    }
}

/// What runs around the device.
struct Yard {
    folder: tempfile::TempDir,
    device: PathBuf,
    remedis: PathBuf,
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_answered_twice_over_two_hundred_kills() {
    let (Some(tiny), Some(remedis), Some(device)) = (Tiny::find(), program("remedis"), program("remedis-device"))
    else {
        return;
    };
    let yard = Yard { folder: tempfile::tempdir().unwrap(), device, remedis };
    fs::create_dir(yard.at("inbox")).unwrap();
    let (mut hardware, link) =
        yard.simulate(&tiny, &["--frames", N_FRAMES, "--rate", FRAMES_A_SECOND, "--first-frame", "1"], true);
    let (mut camera, openmv) =
        yard.simulate(&tiny, &["--openmv", "--frames", "1000000", "--rate", "20", "--timeout", "900"], false);
    yard.write_settings(&tiny, &link, &openmv);
    let is_over = Arc::new(AtomicBool::new(false));
    let (files, n_files) = yard.put_files(&tiny, &is_over);

    let mut moments = Moments::default();
    for kill in 1..=N_KILLS {
        let (mut running, said) = yard.start();
        wait_for(&said, "started").unwrap_or_else(|| panic!("device {kill} starts"));
        // The moment is random, so there is no event to wait for.
        std::thread::sleep(Duration::from_millis(moments.draw() % LONGEST_LIFE_MS));
        running.kill();
        if kill % CHECK_EVERY == 0 {
            yard.check(&format!("after kill {kill}"));
        }
    }
    is_over.store(true, Ordering::SeqCst);
    files.join().unwrap();
    let (mut last, _said) = yard.start();
    let summary = hardware.output();
    assert!(hardware.ends_well(), "the hardware got every answer: {summary}");
    wait_until("every file is handed back", || yard.files("inbox").is_empty());
    camera.kill();
    say(Path::new("kill"), &[&"-TERM", &last.0.id().to_string()]);
    assert!(last.ends_well(), "the device ends when it is asked to");

    let found = yard.check("at the end");
    let n_files = n_files.load(Ordering::SeqCst) as usize;
    assert_eq!(found.link.to_string(), N_FRAMES, "each frame is acknowledged once");
    assert_eq!(
        (found.handed_back, found.folder),
        (n_files, n_files),
        "each file is answered once and handed back once"
    );
    assert!(found.openmv > 0, "the camera's frames were judged too");
    yard.check_audit();
    println!("| input | given | acknowledged | journalled | lost | twice |\n| --- | --- | --- | --- | --- | --- |");
    println!("| link | {N_FRAMES} | {} | {} | 0 | 0 |", found.link, found.link_kept);
    println!("| folder | {n_files} | {} | {} | 0 | 0 |", found.handed_back, found.folder);
    println!("| openmv (live) | | | {} | | |", found.openmv);
    println!("{N_KILLS} SIGKILLs; the audit chain verifies");
}

#[test]
fn a_full_disk_holds_answers_back_and_loses_none() {
    let (Some(tiny), Some(remedis), Some(device)) = (Tiny::find(), program("remedis"), program("remedis-device"))
    else {
        return;
    };
    let yard = Yard { folder: tempfile::tempdir().unwrap(), device, remedis };
    let disk = yard.at("disk");
    fs::create_dir(&disk).unwrap();
    let (mut hardware, link) = yard.simulate(&tiny, &["--frames", "200", "--rate", "10", "--first-frame", "1"], true);
    let text = format!(
        "bundle = {:?}\ntrusted_keys = [{:?}]\n[link]\nport = {link:?}\nbaud = 921600\n[journal]\nanswers = \
         'disk/answers.sqlite'\naudit = 'disk/audit.log'\n[health]\nmin_free_megabytes = 0\n",
        tiny.bundle(),
        tiny.key()
    );
    fs::write(yard.at("device.toml"), text).unwrap();
    let Some((running, said)) = yard.start_on_a_disk_of_its_own(&disk) else { return };
    let acknowledged = || fs::read_to_string(yard.at("acknowledged.jsonl")).unwrap_or_default().lines().count();
    wait_until("the first answers", || acknowledged() >= 5);
    // The disk is another only for the device, and seen through it.
    let inside = PathBuf::from(format!("/proc/{}/root", running.0.id())).join(disk.strip_prefix("/").unwrap());
    let filled = inside.join("somebody-elses-file");
    // The journal gives up its reserve and makes room for itself; somebody else takes that too.
    let start = Instant::now();
    while !said.try_iter().any(|line| line.starts_with("journal_fault")) {
        assert!(start.elapsed() < PATIENCE, "the device says that it cannot keep answers");
        fill(&filled);
    }
    let n_before = acknowledged();
    // Long enough for several frames, were they answered.
    std::thread::sleep(Duration::from_secs(1));
    assert!(acknowledged() <= n_before + 1, "nothing is acknowledged that cannot be kept");
    fs::remove_file(&filled).unwrap();
    wait_for(&said, "journal_back").expect("the device says that it keeps answers again");
    let summary = hardware.output();
    assert!(hardware.ends_well(), "the hardware got every answer: {summary}");
    for name in ["answers.sqlite", "answers.sqlite-wal"] {
        fs::copy(inside.join(name), yard.at(name)).unwrap();
    }
    let journal = say(&yard.device, &[&"journal", &yard.at("answers.sqlite"), &"--json"]);
    assert_eq!((journal.code, journal.out.lines().count()), (Some(0), 200), "{}", journal.err);
}

/// Takes all room that is left.
fn fill(path: &Path) {
    let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
    for size in [65_536, 4_096, 512, 1] {
        while file.write_all(&vec![0x55; size]).is_ok() {}
    }
}

/// What a check counted.
struct Found {
    /// Frames acknowledged to the hardware.
    link: usize,
    link_kept: usize,
    folder: usize,
    openmv: usize,
    handed_back: usize,
}

impl Yard {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Plays hardware: the program, and the pseudo-terminal that the device is to open.
    fn simulate(&self, tiny: &Tiny, arguments: &[&str], is_journalled: bool) -> (Process, String) {
        let mut command = Command::new(&self.remedis);
        command.arg("simulate").arg(tiny.set("cells_a")).args(arguments).arg("--json");
        if is_journalled {
            command.arg("--journal").arg(self.at("acknowledged.jsonl"));
        }
        let mut child = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped())).unwrap();
        let port =
            wait_for(&lines_of(&mut child), "imaging hardware on ").expect("the simulator opens a pseudo-terminal");
        (child, port)
    }

    fn write_settings(&self, tiny: &Tiny, link: &str, openmv: &str) {
        let text = format!(
            "bundle = {:?}\ntrusted_keys = [{:?}]\nplans = 'plans'\n[models]\nfolder = 'models'\ntrial_starts = 1000\n[link]\nport = {link:?}\nbaud = \
             921600\n[openmv]\nport = {openmv:?}\n[folder]\npath = 'inbox'\nlook_every_s = 1\n[journal]\nanswers = \
             'answers.sqlite'\naudit = 'audit.log'\n[screen]\npng = 'screen.png'\nwidth = 320\nheight = 240\n[health]\nheat_map_ms = 0\n",
            tiny.bundle(),
            tiny.key()
        );
        fs::write(self.at("device.toml"), text).unwrap();
    }

    /// Puts a file into the inbox every now and then, until it is over.
    fn put_files(&self, tiny: &Tiny, is_over: &Arc<AtomicBool>) -> (JoinHandle<()>, Arc<AtomicU32>) {
        let image = fs::read(first_image(&tiny.set("cells_a"))).unwrap();
        let (inbox, beside) = (self.at("inbox"), self.at("unfinished"));
        let (is_over, n_put) = (Arc::clone(is_over), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&n_put);
        let put = move || {
            while !is_over.load(Ordering::SeqCst) {
                let number = count.fetch_add(1, Ordering::SeqCst);
                fs::write(&beside, &image).unwrap();
                fs::rename(&beside, inbox.join(format!("{number:05}.png"))).unwrap();
                // Files come in their own rhythm.
                std::thread::sleep(FILE_EVERY);
            }
        };
        (std::thread::spawn(put), n_put)
    }

    fn start(&self) -> (Process, mpsc::Receiver<String>) {
        let mut command = Command::new(&self.device);
        command.arg("run").arg(self.at("device.toml")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Process::start(&mut command).unwrap();
        let said = lines_of(&mut child);
        (child, said)
    }

    /// The device with a disk of 8 MB at `disk` that nobody else has; `None`, saying so, where that cannot be had.
    fn start_on_a_disk_of_its_own(&self, disk: &Path) -> Option<(Process, mpsc::Receiver<String>)> {
        let script = "mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$1\" run \"$2\"";
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script]).arg(disk).arg(&self.device).arg(self.at("device.toml"));
        let mut child = Process::start(command.stdout(Stdio::null()).stderr(Stdio::piped())).ok()?;
        let said = lines_of(&mut child);
        if wait_for(&said, "started").is_none() {
            assert!(std::env::var_os("CI").is_none(), "CI gives the device a disk of its own");
            eprintln!("skipped: this machine gives no disk of its own (unshare -rm)");
            return None;
        }
        Some((child, said))
    }

    /// The files of a folder, by name.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.at(folder)) else { return vec![] };
        let mut files: Vec<PathBuf> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
        files.sort();
        files
    }

    /// Everything acknowledged is in the journal, with the same answer, once.
    fn check(&self, when: &str) -> Found {
        let said = say(&self.device, &[&"journal", &self.at("answers.sqlite"), &"--json"]);
        assert_eq!(said.code, Some(0), "{when} the journal opens: {said:?}");
        let mut kept = BTreeMap::new();
        let mut by_sequence = BTreeMap::new();
        let mut openmv = 0;
        for record in said.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let source = record["source"].as_str().unwrap().to_owned();
            by_sequence.insert(record["sequence"].as_u64().unwrap(), record.clone());
            let Some(id) = record["request"]["id"].as_str() else {
                openmv += 1;
                continue;
            };
            let before = kept.insert((source, id.to_owned()), record.clone());
            assert!(before.is_none(), "{when} answered twice: {before:?}");
        }
        let link = self.check_link(when, &kept);
        let handed_back = self.check_folder(when, &by_sequence);
        let of = |name: &str| kept.keys().filter(|(source, _)| source == name).count();
        Found { link, link_kept: of("link"), folder: of("folder"), openmv, handed_back }
    }

    fn check_link(&self, when: &str, kept: &BTreeMap<(String, String), Value>) -> usize {
        let text = fs::read_to_string(self.at("acknowledged.jsonl")).unwrap_or_default();
        let answers: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        for answer in &answers {
            let frame = answer["frame"].to_string();
            let record = kept.get(&("link".to_owned(), frame.clone()));
            let record =
                record.unwrap_or_else(|| panic!("{when} frame {frame} was acknowledged and is not in the journal"));
            assert_eq!(record["verdict"]["decision"], answer["decision"], "{when} frame {frame}");
        }
        answers.len()
    }

    fn check_folder(&self, when: &str, kept: &BTreeMap<u64, Value>) -> usize {
        let answers: Vec<PathBuf> = self
            .files("inbox/done")
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        for path in &answers {
            let told: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            let sequence = told["answers"][0]["sequence"].as_u64().unwrap();
            let record = kept.get(&sequence);
            let record =
                record.unwrap_or_else(|| panic!("{when} answer {sequence} was handed back and is not in the journal"));
            assert_eq!(record["verdict"], told["answers"][0]["verdict"], "{when} answer {sequence}");
        }
        answers.len()
    }

    fn check_audit(&self) {
        let arguments: [&dyn AsRef<std::ffi::OsStr>; 5] =
            [&"audit", &"verify", &self.at("audit.log"), &"--answers", &self.at("answers.sqlite")];
        let said = say(&self.remedis, &arguments);
        assert_eq!(said.code, Some(0), "{said:?}");
        // A line changed in the middle is named.
        let log = fs::read_to_string(self.at("audit.log")).unwrap();
        let changed = log.replacen("started", "startet", 3).replacen("startet", "started", 2);
        fs::write(self.at("changed.log"), changed).unwrap();
        let said = say(&self.remedis, &[&"audit", &"verify", &self.at("changed.log")]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains("broken at line"), "{said:?}");
    }
}

fn first_image(set: &Path) -> PathBuf {
    let mut folders = vec![set.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        if let Some(image) =
            entries.iter().find(|path| path.extension().is_some_and(|end| end == "png" || end == "jpg"))
        {
            return image.clone();
        }
        folders.extend(entries.into_iter().filter(|path| path.is_dir()));
    }
    panic!("the tiny set {} holds no image", set.display());
}

/// The lines that the child writes on standard error, as they come.
fn lines_of(child: &mut Process) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let stderr = BufReader::new(child.0.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    receiver
}

/// What follows `start` on the first line that has it; `None` when none comes within a minute.
fn wait_for(lines: &mpsc::Receiver<String>, start: &str) -> Option<String> {
    loop {
        let line = lines.recv_timeout(Duration::from_secs(60)).ok()?;
        if let Some(rest) = line.strip_prefix(start) {
            return Some(rest.trim().to_owned());
        }
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        // Files of another process have no event here.
        std::thread::sleep(Duration::from_millis(50));
    }
}
