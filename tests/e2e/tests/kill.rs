//! SIGKILL at random moments while frames arrive: nothing that was acknowledged is lost, nothing is answered twice.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use remedis_e2e::{Moments, Tiny, program, say};
use serde_json::Value;

const N_KILLS: u32 = 20;
const N_FRAMES: &str = "400";
const FRAMES_A_SECOND: &str = "40";
/// A kill comes this long at most after the device has opened the line.
const LONGEST_LIFE_MS: u64 = 400;

#[test]
fn no_acknowledged_answer_is_lost_over_twenty_kills() {
    let (Some(tiny), Some(remedis), Some(device)) = (Tiny::find(), program("remedis"), program("remedis-device"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = folder.path().join("acknowledged.jsonl");
    let mut hardware = Command::new(&remedis)
        .arg("simulate")
        .arg(tiny.set("cells_a"))
        .args(["--frames", N_FRAMES, "--rate", FRAMES_A_SECOND, "--first-frame", "1", "--json", "--journal"])
        .arg(&acknowledged)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut hardware);
    let port = wait_for(&lines, "imaging hardware on ").expect("the simulator opens a pseudo-terminal");
    let config = folder.path().join("device.toml");
    let journal = folder.path().join("answers.journal");
    std::fs::write(&config, configuration(&tiny, &port, &journal)).unwrap();

    let mut moments = Moments::default();
    for kill in 0..N_KILLS {
        let mut running = start(&device, &config);
        let said = lines_of(&mut running);
        wait_for(&said, "link_open").unwrap_or_else(|| panic!("device {kill} opens the line"));
        // The moment is random, so there is no event to wait for.
        std::thread::sleep(Duration::from_millis(moments.draw() % LONGEST_LIFE_MS));
        running.kill().unwrap();
        running.wait().unwrap();
        check(&device, &journal, &acknowledged, &format!("after kill {kill}"));
    }
    let mut last = start(&device, &config);
    let _said = lines_of(&mut last);
    let mut summary = String::new();
    hardware.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
    assert!(hardware.wait().unwrap().success(), "the hardware got every answer: {summary}");
    last.kill().unwrap();
    last.wait().unwrap();
    let n_answered = check(&device, &journal, &acknowledged, "at the end");
    assert_eq!(n_answered.to_string(), N_FRAMES, "{summary}");
    println!("{N_KILLS} kills, {n_answered} frames acknowledged, none lost, none answered twice: {summary}");
}

/// Every acknowledged answer is in the journal, with the same decision, once. Returns how many are acknowledged.
fn check(device: &Path, journal: &Path, acknowledged: &Path, when: &str) -> usize {
    let said = say(device, &[&"journal", &journal, &"--json"]);
    // 1: the record that the kill interrupted is unfinished, and was never acknowledged.
    assert!(matches!(said.code, Some(0 | 1)), "{when} the journal opens: {said:?}");
    let mut kept = BTreeMap::new();
    for line in said.out.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let before = kept.insert(record["frame_id"].as_u64().unwrap(), record);
        assert!(before.is_none(), "{when} a frame was answered twice: {before:?}");
    }
    let text = std::fs::read_to_string(acknowledged).unwrap_or_default();
    let answers: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for answer in &answers {
        let frame = answer["frame"].as_u64().unwrap();
        assert!(
            kept.contains_key(&frame),
            "{when} frame {frame} was acknowledged, but the journal has only {:?}",
            kept.keys()
        );
    }
    answers.len()
}

fn start(device: &Path, config: &Path) -> Child {
    Command::new(device).arg("run").arg(config).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The lines that the child writes on standard error, as they come.
fn lines_of(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
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

fn configuration(tiny: &Tiny, port: &str, journal: &Path) -> String {
    format!(
        "bundle = {:?}\ntrusted_keys = [{:?}]\n[link]\nport = {port:?}\nbaud = 921600\ndevice_id = 1\nmax_image_bytes = \
         4194304\nresult_retry_ms = 500\nquiet_after_ms = 10000\n[journal]\npath = {journal:?}\n",
        tiny.bundle(),
        tiny.key()
    )
}
