//! Prepared image sets: runs on them end in the bytes of runs on the sets, and a stopped `prepare` goes on.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use remedis_programs::{Said, Tiny, program, say};

const SETS: [(&str, &str); 3] = [("--data", "cells_a"), ("--shifted", "cells_b"), ("--natural", "natural")];

fn prepare(train: &Path, set: &Path, size: &str, out: &Path) -> Said {
    say(train, &[&"prepare", &"--data", &set, &"--size", &size, &"--out", &out, &"--json"])
}

fn run(train: &Path, sets: &[PathBuf; 3], out: &Path) -> Said {
    let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"run", &"--recipe", &"tiny", &"--seed", &"7", &"--out", &out];
    for ((role, _), set) in SETS.iter().zip(sets) {
        arguments.extend([role as &dyn AsRef<OsStr>, set]);
    }
    say(train, &arguments)
}

/// What a run found, learnt and ships.
fn learnt(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let checkpoints = std::fs::read_dir(out.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    let names = ["results.json", "quarantine.jsonl", "views.png", "float.onnx", "int8.onnx", "run.json"];
    checkpoints
        .chain(names.map(|name| out.join(name)))
        .map(|file| (file.strip_prefix(out).unwrap().to_owned(), std::fs::read(&file).unwrap()))
        .collect()
}

#[test]
fn a_run_on_prepared_sets_is_the_run_on_the_sets() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let direct = SETS.map(|(_, name)| tiny.set(name));
    let prepared = SETS.map(|(role, name)| folder.path().join(format!("prepared{role}")).join(name));
    for (set, out) in direct.iter().zip(&prepared) {
        let said = prepare(&train, set, "32", out);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let outs = ["direct", "prepared"].map(|name| folder.path().join(name));
    for (sets, out) in [&direct, &prepared].into_iter().zip(&outs) {
        let said = run(&train, sets, out);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let [one, other] = outs.map(|out| learnt(&out));
    let differ: Vec<_> =
        one.iter().filter(|(name, bytes)| other.get(*name) != Some(bytes)).map(|(name, _)| name).collect();
    assert!(differ.is_empty() && one.len() == other.len(), "{differ:?}");
}

#[test]
fn a_set_prepared_for_another_input_is_refused_before_anything_is_written() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (prepared, out) = (folder.path().join("cells_a"), folder.path().join("run"));
    let said = prepare(&train, &tiny.set("cells_a"), "64", &prepared);
    assert_eq!(said.code, Some(0), "{said:?}");
    let again: serde_json::Value =
        serde_json::from_str(prepare(&train, &tiny.set("cells_a"), "64", &prepared).out.trim()).unwrap();
    assert_eq!(again["n_files"], again["n_files_kept"], "{again}");
    let said = run(&train, &[prepared.clone(), tiny.set("cells_b"), tiny.set("natural")], &out);
    assert_eq!(said.code, Some(2), "{said:?}");
    for words in
        ["prepared for 64 x 64 pixels, rgb", "wanted is 32 x 32 pixels, rgb", "prepare --size 32 --channels rgb"]
    {
        assert!(said.err.contains(words), "{words:?} is not in {said:?}");
    }
    assert!(!out.exists());
    let said = prepare(&train, &tiny.set("cells_a"), "32", &prepared);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(
        said.err.contains("from this set, for 64 x 64 pixels") && said.err.contains("choose another --out"),
        "{said:?}"
    );
}
