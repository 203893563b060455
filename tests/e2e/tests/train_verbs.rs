//! The verbs around a run: stage by stage, looking first, and sets with files that cannot be read.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use remedis_programs::{Said, Tiny, program, say};
use serde_json::Value;

/// A verb on the tiny sets with seed 7, `data` standing in for those of the hospital.
fn train(train: &Path, verb: &str, tiny: &Tiny, data: &Path, more: &[&str], out: Option<&Path>) -> Said {
    let (natural, cells_b) = (tiny.set("natural"), tiny.set("cells_b"));
    let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&verb, &"--recipe", &"tiny", &"--seed", &"7"];
    arguments.extend([&"--data" as &dyn AsRef<std::ffi::OsStr>, &data, &"--natural", &natural]);
    if more.contains(&"--shifted") {
        arguments.extend([&"--shifted" as &dyn AsRef<std::ffi::OsStr>, &cells_b]);
    }
    arguments.extend(more.iter().filter(|word| **word != "--shifted").map(|word| word as &dyn AsRef<std::ffi::OsStr>));
    if let Some(out) = &out {
        arguments.extend([&"--out" as &dyn AsRef<std::ffi::OsStr>, out]);
    }
    say(train, &arguments)
}

/// Every finished network and the exported models.
fn learnt(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let checkpoints = std::fs::read_dir(out.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let files = ["float.onnx", "int8.onnx"].map(|name| out.join(name));
    checkpoints
        .chain(files)
        .map(|file| (file.strip_prefix(out).unwrap().to_owned(), std::fs::read(&file).unwrap()))
        .collect()
}

/// A copy of a set to spoil.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Lines of `labels.csv` and, of the row `row` of the training split (from 0), its place among them and its file.
fn training_row(set: &Path, row: usize) -> (Vec<String>, usize, PathBuf) {
    let text = std::fs::read_to_string(set.join("labels.csv")).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_trained = |line: &&String| line.split(',').any(|cell| cell == "train");
    let line = lines.iter().filter(is_trained).nth(row).unwrap();
    let place = lines.iter().position(|other| other == line).unwrap();
    let column = lines[0].split(',').position(|name| name == "file").unwrap();
    let file = set.join(line.split(',').nth(column).unwrap());
    (lines, place, file)
}

#[test]
fn stage_by_stage_ends_in_the_bytes_of_one_run() {
    let (Some(tiny), Some(program)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = tiny.set("cells_a");
    let (whole, stages) = (folder.path().join("whole"), folder.path().join("stages"));
    let said = train(&program, "run", &tiny, &data, &["--shifted"], Some(&whole));
    assert_eq!(said.code, Some(0), "{said:?}");
    let verbs = ["pretrain", "contrast", "finetune", "distill", "export", "run"];
    for (verb, next) in verbs.iter().zip(&verbs[1..]) {
        let said = train(&program, verb, &tiny, &data, &[], Some(&stages));
        assert_eq!(said.code, Some(0), "{said:?}");
        let last = said.out.lines().last().unwrap();
        assert!(last.starts_with("next:") && last.contains(&format!("remedis-train {next} ")), "{last}");
        assert!(!stages.join("results.json").exists(), "{verb}");
        assert_eq!(stages.join("bundle.remedis").exists(), *verb == "export");
    }
    let said = train(&program, "run", &tiny, &data, &["--shifted"], Some(&stages));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(learnt(&whole) == learnt(&stages), "the networks differ");
    let results = |out: &Path| std::fs::read_to_string(out.join("results.json")).unwrap();
    assert_eq!(results(&whole), results(&stages));
}

#[test]
fn a_bad_file_changes_nothing_but_its_absence() {
    let (Some(tiny), Some(program)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    copy(&tiny.set("cells_a"), &at("bad"));
    copy(&tiny.set("cells_a"), &at("without"));
    let (lines, place, file) = training_row(&at("bad"), 7);
    std::fs::write(&file, b"<html>404</html>").unwrap();
    let mut kept = lines.clone();
    kept.remove(place);
    std::fs::write(at("without").join("labels.csv"), kept.join("\n") + "\n").unwrap();
    for name in ["bad", "without"] {
        let said = train(&program, "run", &tiny, &at(name), &["--shifted"], Some(&at(&format!("{name} out"))));
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.out.contains("1 of its 240 files cannot be read"), name == "bad", "{said:?}");
    }
    assert!(learnt(&at("bad out")) == learnt(&at("without out")), "the networks differ");
    let quarantine = std::fs::read_to_string(at("bad out/quarantine.jsonl")).unwrap();
    let line: Value = serde_json::from_str(&quarantine).unwrap();
    assert_eq!((&line["set"], &line["row"]), (&"data".into(), &place.into()), "{line}");
    assert!(line["reason"].as_str().unwrap().starts_with("not a PNG, JPEG or DICOM file"), "{line}");
    assert_eq!(std::fs::read_to_string(at("without out/quarantine.jsonl")).unwrap(), "");
    let said = train(&program, "run", &tiny, &at("bad"), &["--shifted", "--bad-files", "0"], Some(&at("none")));
    assert_eq!(said.code, Some(2), "{said:?}");
    let words = format!("1 of its 240 files cannot be used, expected at most 0: row {place} cannot be used: ");
    assert!(said.err.contains(&words) && said.err.contains("--bad-files 1"), "{said:?}");
    assert!(!at("none").exists(), "nothing was begun");
}

#[test]
fn a_check_trains_nothing_says_time_and_memory_and_exits_1_on_a_leak() {
    let (Some(tiny), Some(program)) = (Tiny::find(), program("remedis-train")) else { return };
    let said = train(&program, "check", &tiny, &tiny.set("cells_a"), &["--shifted", "--json"], None);
    assert_eq!(said.code, Some(0), "{said:?}");
    let found: Value = serde_json::from_str(&said.out).unwrap();
    let stages: Vec<&str> =
        found["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["pretrain", "contrast", "finetune", "distil"]);
    assert_eq!(found["stages"][2]["times"], 4, "two arms here, two at the new site");
    assert!(found["training_seconds"].as_f64().unwrap() > 0.0 && found["memory"]["total"].as_u64().unwrap() > 0);

    let folder = tempfile::tempdir().unwrap();
    let leaking = folder.path().join("leaking");
    copy(&tiny.set("cells_a"), &leaking);
    let (mut lines, place, _) = training_row(&leaking, 7);
    lines[place] = lines[place].replace("train", "test");
    std::fs::write(leaking.join("labels.csv"), lines.join("\n") + "\n").unwrap();
    let said = train(&program, "check", &tiny, &leaking, &["--shifted"], None);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("WRONG: --data leaking: 1 patients are in more than one split"), "{said:?}");
    let said = train(&program, "run", &tiny, &leaking, &["--shifted"], Some(&folder.path().join("out")));
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("1 patients are in more than one split"), "{said:?}");
}

#[test]
fn the_doctor_looks_at_everything_a_run_needs() {
    let Some(program) = program("remedis-train") else { return };
    let folder = tempfile::tempdir().unwrap();
    let said = say(&program, &[&"doctor", &"--json", &"--out", &folder.path().join("not/there/yet")]);
    let found: Value = serde_json::from_str(&said.out).unwrap();
    let looked_at: Vec<&str> =
        found["lines"].as_array().unwrap().iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(
        looked_at,
        ["processor", "cores", "memory", "open files", "disk", "devices", "precision", "rate", "launcher"],
        "{said:?}"
    );
    assert_eq!(said.code, Some(if found["ok"] == true { 0 } else { 1 }), "{said:?}");
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is left behind");
}
