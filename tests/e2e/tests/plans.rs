//! The device makes a plan of its model once, keeps it, and makes it again whenever what it kept is not right.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::path::{Path, PathBuf};

use remedis_programs::{Tiny, program, say};

fn only_file(folder: &Path) -> PathBuf {
    let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("one plan and nothing else: {files:?}") };
    file.clone()
}

#[test]
fn a_kept_plan_is_used_while_it_is_right_and_made_again_when_not() {
    let (Some(tiny), Some(device)) = (Tiny::find(), program("remedis-device")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (config, plans) = (folder.path().join("device.toml"), folder.path().join("plans"));
    let text = format!(
        "bundle = {:?}\ntrusted_keys = [{:?}]\nplans = \"plans\"\n[link]\nport = \"line\"\nbaud = 921600\ndevice_id = 1\n\
         max_image_bytes = 4194304\nresult_retry_ms = 500\nquiet_after_ms = 10000\n[journal]\nanswers = \"answers.sqlite\"\naudit = \"audit.log\"\n",
        tiny.bundle(),
        tiny.key()
    );
    std::fs::write(&config, text).unwrap();
    let check = |words: &[&str]| {
        let said = say(&device, &[&"check", &config]);
        assert_eq!(said.code, Some(0), "{said:?}");
        words.iter().for_each(|word| assert!(said.out.contains(word), "expected {word:?} in {said:?}"));
    };
    check(&["plan made from the model in the bundle; now kept in"]);
    let file = only_file(&plans);
    let whole = std::fs::read(&file).unwrap();
    let spoilt = |spoil: fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        spoil(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
    };
    check(&["plan kept in"]);
    spoilt(|bytes| *bytes.last_mut().unwrap() ^= 1);
    check(&["because of the one that was kept", "checksum"]);
    spoilt(|bytes| bytes[8] ^= 64);
    check(&["because of the one that was kept", "version"]);
    spoilt(|bytes| bytes.truncate(70));
    check(&["because of the one that was kept", "bytes"]);
    check(&["plan kept in"]);
    assert_eq!(std::fs::read(only_file(&plans)).unwrap(), whole);
    std::fs::remove_dir_all(&plans).unwrap();
    std::fs::write(&plans, "no folder").unwrap();
    check(&["cannot be kept", "plans"]);
}
