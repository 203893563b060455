//! Signals of people, terminals and schedulers: training saves, ends with code 75, and the same command goes on.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use remedis_programs::{Tiny, program, say};
use signal_hook::consts::SIGHUP;

/// `EX_TEMPFAIL`: interrupted, saved, to be called again.
const INTERRUPTED: Option<i32> = Some(75);

/// A run that goes on for hours if nobody stops it: a tiny plan whose fine-tuning has a million steps.
struct Long {
    train: PathBuf,
    tiny: Tiny,
    folder: tempfile::TempDir,
}

impl Long {
    fn find() -> Option<Self> {
        let (tiny, train) = (Tiny::find()?, program("remedis-train")?);
        let folder = tempfile::tempdir().unwrap();
        let plan = folder.path().join("plan.toml");
        assert_eq!(say(&train, &[&"plan", &"--recipe", &"tiny", &"-o", &plan]).code, Some(0));
        let text = std::fs::read_to_string(&plan).unwrap();
        std::fs::write(&plan, text.replace("\nsteps = 10\n", "\nsteps = 1000000\n")).unwrap();
        Some(Self { train, tiny, folder })
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Starts the run; its plain lines go to `stderr`.
    fn start(&self) -> Child {
        Command::new(&self.train)
            .arg("finetune")
            .arg(self.folder.path().join("plan.toml"))
            .args(["--data".as_ref(), self.tiny.set("cells_a").as_os_str()])
            .args(["--out".as_ref(), self.out().as_os_str(), "--progress".as_ref(), "json".as_ref()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Reads lines until one holds all of `words`.
fn wait_for(lines: &mut BufReader<impl Read>, words: &[&str]) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the run ended before it said {words:?}");
        if words.iter().all(|word| line.contains(word)) {
            return line;
        }
    }
}

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

fn partial(out: &Path) -> bool {
    let mut names = std::fs::read_dir(out.join("checkpoints")).unwrap().map(|entry| entry.unwrap().file_name());
    names.any(|name| name.to_string_lossy().starts_with("finetune_baseline.step-"))
}

#[test]
fn slurms_warning_saves_and_the_same_command_goes_on() {
    let Some(long) = Long::find() else { return };
    let mut running = long.start();
    let mut said = BufReader::new(running.stderr.take().unwrap());
    wait_for(&mut said, &["finetune_baseline", r#""step":2,"#]);
    signal(&running, "USR1");
    let last = wait_for(&mut said, &["everything so far is saved in"]);
    assert!(last.contains("the same command goes on from there"), "{last}");
    assert_eq!(running.wait().unwrap().code(), INTERRUPTED);
    assert!(partial(&long.out()));

    let mut resumed = long.start();
    let mut said = BufReader::new(resumed.stderr.take().unwrap());
    wait_for(&mut said, &["finetune_baseline: going on after step"]);
    // `srun` and `mpirun` may both hand a signal on: the second must not cut the saving short.
    wait_for(&mut said, &[r#""stage":"finetune_baseline","step":"#]);
    signal(&resumed, "TERM");
    signal(&resumed, "TERM");
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(resumed.wait().unwrap().code(), INTERRUPTED, "{rest}");
    let runs = std::fs::read_dir(long.out().join("tensorboard")).unwrap().count();
    assert_eq!(runs, 2, "every start writes an event file of its own");
}

#[test]
fn a_terminal_that_closes_costs_nothing() {
    let Some(long) = Long::find() else { return };
    // Under `nohup` the run would inherit that SIGHUP is ignored; what is caught here is back at its default there.
    signal_hook::flag::register(SIGHUP, Arc::default()).unwrap();
    let mut running = long.start();
    let mut said = BufReader::new(running.stderr.take().unwrap());
    wait_for(&mut said, &["finetune_baseline", r#""step":2,"#]);
    // Nobody reads any more: what is written from here on fails.
    drop(said);
    signal(&running, "HUP");
    assert_eq!(running.wait().unwrap().code(), INTERRUPTED);
    assert!(partial(&long.out()));
}
