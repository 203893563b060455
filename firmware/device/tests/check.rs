//! `remedis-device check`, as an operator runs it before the first start.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::path::Path;
use std::process::Command;

const SETTINGS: &str = "bundle = 'bundle.remedis'\ntrusted_keys = ['signing.pub']\n\
                        [openmv]\nport = 'camera'\nscript = 'camera.py'\n[web]\ntoken = 'web.token'\n\
                        [journal]\nanswers = 'answers.sqlite'\naudit = 'audit.log'\n";

/// How the program ends, and what it says on standard error.
fn say(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_remedis-device");
    let said = Command::new(program).current_dir(folder).args(words).output().unwrap();
    (said.status.code(), String::from_utf8(said.stderr).unwrap())
}

#[test]
fn every_file_is_named_that_would_keep_the_device_from_its_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("device.toml"), SETTINGS).unwrap();
    let check = || {
        let (code, said) = say(folder.path(), &["check", "device.toml"]);
        assert_eq!(code, Some(2), "{said}");
        let files = ["signing.pub", "camera.py", "web.token"];
        files.into_iter().filter(|file| said.contains(file)).collect::<Vec<_>>()
    };
    assert_eq!(check(), ["signing.pub", "camera.py", "web.token"]);
    assert_eq!(say(folder.path(), &["token", "web.token"]).0, Some(0));
    assert_eq!(check(), ["signing.pub", "camera.py"]);
    std::fs::write(folder.path().join("camera.py"), "pass").unwrap();
    assert_eq!(check(), ["signing.pub"]);
    std::fs::write(folder.path().join("web.token"), "open sesame").unwrap();
    assert_eq!(check(), ["signing.pub", "web.token"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("device.toml"), SETTINGS).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_remedis-device"));
    let said = command.current_dir(folder.path()).args(["check", "device.toml"]).stdout(writer).output().unwrap();
    assert_eq!((said.status.code(), String::from_utf8(said.stderr).unwrap().as_str()), (Some(0), ""));
}
