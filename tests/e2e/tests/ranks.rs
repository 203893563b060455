//! Processes of an MPI launcher share every batch, or threads of one process: what they learn is what one process learns. The death of
//! a process ends the run, which goes on from its checkpoint.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use remedis_programs::{Tiny, say, skip};
use serde_json::Value;

/// Contrastive steps that are compared.
const STEPS: usize = 20;
/// How soon after one rank the others must have ended.
const SOON: Duration = Duration::from_secs(10);

/// `remedis-train` built with MPI, which `cargo xtask check` names; `None`, saying so, without.
fn program() -> Option<PathBuf> {
    let found = std::env::var_os("REMEDIS_RANKS").map(PathBuf::from).filter(|at| at.is_file());
    if found.is_none() {
        skip("REMEDIS_RANKS does not name a remedis-train with MPI; `cargo xtask check` builds one where MPI is");
    }
    found
}

/// The tiny plan with enough contrastive steps, at a temperature and at rates where so small a network and batch are well conditioned: at
/// temperature 0.2 the gradient is 40 long, so that a rounding of the weights moves the loss by more than what is compared, and at
/// full rate the path is chaotic. What ranks compute from equal weights is tested at full rate, step by step, beside the code.
fn plan(train: &Path, folder: &Path) -> PathBuf {
    let said = say(train, &[&"plan", &"--recipe", &"tiny"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let mut section = String::new();
    let changed = said.out.lines().map(|line| {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        }
        match (section.as_str(), line.split_once(" = ").map(|(key, _)| key)) {
            ("[pretrain]", Some("epochs")) => "epochs = 4".to_owned(),
            ("[contrast]", Some("epochs")) => "epochs = 8".to_owned(),
            ("[contrast]", Some("optimiser")) => "optimiser = \"lars\"".to_owned(),
            ("[contrast]", Some("learning_rate_per_sqrt_batch")) => "learning_rate_per_sqrt_batch = 0.00005".to_owned(),
            ("[contrast]", Some("temperature")) => "temperature = 0.5".to_owned(),
            ("[contrast]", Some("warm_up")) => "warm_up = 0.5".to_owned(),
            _ => line.to_owned(),
        }
    });
    let text: Vec<String> = changed.collect();
    let path = folder.join("plan.toml");
    std::fs::write(&path, text.join("\n")).unwrap();
    path
}

/// The command line of `verb` as `ranks` processes; without a launcher for one.
fn command(train: &Path, tiny: &Tiny, verb: &str, plan: &Path, out: &Path, ranks: usize) -> Command {
    let mut command = if ranks == 1 {
        Command::new(train)
    } else {
        let mut command = Command::new("mpirun");
        command.args(["-n", &ranks.to_string(), "--oversubscribe", "--bind-to", "none"]).arg(train);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.env("OMPI_MCA_mpi_yield_when_idle", "1");
        command
    };
    command
        .args([verb.as_ref(), plan.as_os_str()])
        .args(["--save-every", "0", "--threads", "1"])
        .args(["--data".as_ref(), tiny.set("cells_a").as_os_str()])
        .args(["--shifted".as_ref(), tiny.set("cells_b").as_os_str()])
        .args(["--natural".as_ref(), tiny.set("natural").as_os_str()])
        .args(["--out".as_ref(), out.as_os_str()]);
    command
}

/// The numbers `key` of every step of `stage`, in order.
fn steps(out: &Path, stage: &str, key: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_stage = lines.filter(|line| line["stage"] == stage && line["step"].is_u64());
    of_stage.map(|line| line[key].as_f64().unwrap()).collect()
}

/// Contrastive steps of one process, and of these numbers of ranks as `shared` has them computed, have the same losses and norms.
fn check_alike(train: &Path, tiny: &Tiny, all_ranks: &[usize], shared: impl Fn(&Path, &Path, usize) -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(train, folder.path());
    // All begin from one and the same pretrained backbone.
    let begun = folder.path().join("begun");
    assert!(command(train, tiny, "pretrain", &plan, &begun, 1).output().unwrap().status.success());
    let run = |ranks: usize| {
        let out = folder.path().join(ranks.to_string());
        std::fs::create_dir_all(out.join("checkpoints")).unwrap();
        for file in ["plan.toml", "run.json", "checkpoints/pretrain.safetensors"] {
            std::fs::copy(begun.join(file), out.join(file)).unwrap();
        }
        let output = shared(&plan, &out, ranks).output().unwrap();
        assert!(output.status.success(), "{ranks} ranks: {}", String::from_utf8_lossy(&output.stderr));
        out
    };
    let alone = run(1);
    let (loss, norm) = (steps(&alone, "contrast", "loss"), steps(&alone, "contrast", "gradient_norm"));
    assert!(loss.len() > STEPS, "{} steps", loss.len());
    for &ranks in all_ranks {
        let out = run(ranks);
        for (key, expected) in [("loss", &loss), ("gradient_norm", &norm)] {
            let found = steps(&out, "contrast", key);
            assert_eq!(found.len(), expected.len());
            let off = |(found, expected): (&f64, &f64)| (found - expected).abs() / expected.abs();
            let each: Vec<f64> = found.iter().zip(expected).take(STEPS).map(off).collect();
            let worst = each.iter().copied().fold(0.0, f64::max);
            eprintln!("{ranks} ranks, {STEPS} steps: {key} off by at most {worst:.1e}");
            assert!(worst <= 1e-5, "{ranks} ranks, {key}: {each:?}");
        }
    }
}

#[test]
fn two_and_four_ranks_learn_what_one_process_learns() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program()) else { return };
    check_alike(&train, &tiny, &[2, 4], |plan, out, ranks| command(&train, &tiny, "contrast", plan, out, ranks));
}

/// As [`command`] in one process, on as many devices as `ranks`.
fn on_devices(train: &Path, tiny: &Tiny, verb: &str, plan: &Path, out: &Path, ranks: usize) -> Command {
    let mut command = command(train, tiny, verb, plan, out, 1);
    command.args(["--device", &vec!["cpu"; ranks].join(",")]);
    command
}

#[test]
fn devices_of_one_process_learn_what_one_device_learns() {
    let (Some(tiny), Some(train)) = (Tiny::find(), remedis_programs::program("remedis-train")) else { return };
    check_alike(&train, &tiny, &[2], |plan, out, ranks| on_devices(&train, &tiny, "contrast", plan, out, ranks));
}

#[test]
fn devices_of_one_process_do_a_whole_run_and_a_batch_that_they_cannot_share_ends_it_with_a_word() {
    let (Some(tiny), Some(train)) = (Tiny::find(), remedis_programs::program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (plan(&train, folder.path()), folder.path().join("out"));
    let uneven = on_devices(&train, &tiny, "run", &plan, &out, 3).output().unwrap();
    let said = String::from_utf8_lossy(&uneven.stderr);
    assert_eq!(uneven.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot be shared evenly by 3 ranks"), "{said}");
    let whole = on_devices(&train, &tiny, "run", &plan, &out, 2).output().unwrap();
    let said = String::from_utf8_lossy(&whole.stderr);
    assert!(whole.status.success() && said.contains("2 devices share every batch"), "{said}");
    assert!(out.join("bundle.remedis").is_file() && out.join("report.html").is_file());
}

/// Children of `launcher`, by their process number.
fn ranks_of(launcher: &Child) -> Vec<i32> {
    let path = format!("/proc/{0}/task/{0}/children", launcher.id());
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn a_killed_rank_ends_the_run_with_a_word_and_the_run_goes_on_from_its_checkpoint() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&train, folder.path());
    let out = folder.path().join("out");
    let mut launcher = command(&train, &tiny, "run", &plan, &out, 2)
        .args(["--progress", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(launcher.stderr.take().unwrap()).lines().map_while(Result::ok);
    // A step is told before it is saved, so the first one is on the disk when the second is told.
    let begun = lines.by_ref().any(|line| {
        said += &format!("{line}\n");
        serde_json::from_str::<Value>(&line).is_ok_and(|line| line["stage"] == "contrast" && line["step"] == 2)
    });
    assert!(begun, "{said}");
    let ranks = ranks_of(&launcher);
    assert_eq!(ranks.len(), 2, "{ranks:?}");
    let killed = Command::new("kill").args(["-KILL", &ranks[1].to_string()]).status().unwrap();
    assert!(killed.success());
    let fell = Instant::now();
    said.extend(lines.map(|line| line + "\n"));
    let status = launcher.wait().unwrap();
    let took = fell.elapsed();
    assert!(!status.success(), "{status}");
    assert!(took < SOON, "the launcher ended {took:?} after the rank");
    assert!(said.contains("signal 9") || said.contains("Killed"), "{said}");
    eprintln!("a run of two ranks ended {took:.1?} after one was killed");

    let again = command(&train, &tiny, "run", &plan, &out, 2).output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{said}");
    assert!(said.contains("contrast: going on after step"), "{said}");
    assert!(out.join("bundle.remedis").is_file() && out.join("report.html").is_file());
}

#[test]
fn a_program_without_mpi_refuses_to_be_one_of_several() {
    let Some(train) = remedis_programs::program("remedis-train") else { return };
    let output = Command::new(train)
        .args(["run", "--data", "nowhere", "--shifted", "nowhere", "--out", "nowhere"])
        .env("OMPI_COMM_WORLD_SIZE", "2")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("one of 2 processes") && said.contains("--features mpi"), "{said}");
}
