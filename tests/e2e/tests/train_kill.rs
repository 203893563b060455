//! SIGKILL at random moments of training: the same command goes on, and ends in the bytes of the run that was never killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use remedis_programs::{Moments, Tiny, program};

const N_KILLS: u32 = 50;

#[test]
fn fifty_kills_change_no_byte_of_what_is_learnt() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = folder.path().join("undisturbed");
    let began = Instant::now();
    assert!(start(&train, &tiny, &undisturbed).wait().unwrap().success(), "the run that nobody kills");
    let whole_ms = began.elapsed().as_millis() as u64;
    let expected = learnt(&undisturbed);
    assert!(expected.len() > 3 && expected.contains_key("results.json"), "{:?}", expected.keys());

    let mut moments = Moments::default();
    let (mut kills, mut finished, mut lives) = (0, 0, 0);
    while kills < N_KILLS || finished == 0 {
        let out = folder.path().join(format!("killed {finished}"));
        let mut running = start(&train, &tiny, &out);
        lives += 1;
        // The moment is random, so there is no event to wait for. Lives are long enough to get on, short enough to be many.
        let life = Duration::from_millis(whole_ms / 20 + moments.draw() % (whole_ms / 3));
        let is_killed = kills < N_KILLS && !ends_within(&mut running, life);
        if is_killed {
            running.kill().unwrap();
        }
        let status = running.wait().unwrap();
        if status.code().is_none() {
            kills += 1;
            continue;
        }
        assert!(status.success(), "life {lives} ended with {status}");
        finished += 1;
        let found = learnt(&out);
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        let differ: Vec<_> =
            found.iter().filter(|(name, bytes)| expected[*name] != **bytes).map(|(name, _)| name).collect();
        assert!(differ.is_empty(), "after {kills} kills, {differ:?} differ from those of the undisturbed run");
    }
    eprintln!("{kills} kills over {finished} runs in {lives} lives; all ended in the same bytes");
}

/// Whether the child ends by itself in this time.
fn ends_within(child: &mut Child, life: Duration) -> bool {
    let end = Instant::now() + life;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

fn start(train: &Path, tiny: &Tiny, out: &Path) -> Child {
    Command::new(train)
        .args(["run", "--recipe", "tiny", "--seed", "7", "--save-every", "0"])
        .args(["--data".as_ref(), tiny.set("cells_a").as_os_str()])
        .args(["--shifted".as_ref(), tiny.set("cells_b").as_os_str()])
        .args(["--natural".as_ref(), tiny.set("natural").as_os_str()])
        .args(["--out".as_ref(), out.as_os_str()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Every finished network, the exported models and the results; the bundle is signed with a key of its own.
fn learnt(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let checkpoints = std::fs::read_dir(out.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let files = ["float.onnx", "int8.onnx", "results.json"].map(|name| out.join(name));
    checkpoints
        .chain(files)
        .map(|file| {
            let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file.file_name().unwrap().to_string_lossy().into_owned(), bytes)
        })
        .collect()
}
