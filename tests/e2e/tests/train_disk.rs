//! A full disk and a limit of file sizes: said in words, exit code 2, nothing half written, and the same command goes on.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::path::Path;
use std::process::{Command, Output};

use remedis_programs::{Tiny, program, skip};

/// Runs `script` in a shell with the program and its arguments as `"$@"`.
fn shell(script: &str, train: &Path, tiny: &Tiny, out: &Path) -> Output {
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(train)
        .args(["run", "--recipe", "tiny", "--seed", "7", "--save-every", "0", "--progress", "plain"])
        .args(["--data".as_ref(), tiny.set("cells_a").as_os_str()])
        .args(["--shifted".as_ref(), tiny.set("cells_b").as_os_str()])
        .args(["--natural".as_ref(), tiny.set("natural").as_os_str()])
        .args(["--out".as_ref(), out.as_os_str()])
        .output()
        .unwrap()
}

fn refuses(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "expected {word:?} in {said}"));
}

/// Nothing unfinished lies anywhere below.
fn is_tidy(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.into_iter().all(|entry| {
        let is_whole = !entry.file_name().to_string_lossy().starts_with(".unfinished");
        is_whole && (!entry.path().is_dir() || is_tidy(&entry.path()))
    })
}

/// On a disk of 400 KB that only this test sees: a mount in a user namespace, which some systems forbid.
#[test]
fn a_full_disk_is_said_in_words() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = format!("mount -t tmpfs -o size=400k none '{}'", disk.display());
    let may = Command::new("unshare").args(["-rm", "sh", "-c", &mount]).status();
    if !may.is_ok_and(|status| status.success()) {
        skip("this system lets no unprivileged user mount a disk of their own (unshare -rm)");
        return;
    }
    // The mount ends with the namespace, so what lies on it is looked at inside.
    let script = format!(
        "exec unshare -rm sh -c '{}; \"$@\"; code=$?; find {} -name \".unfinished*\" -exec echo LEFT >&2 \\; ; exit $code' sh \"$@\"",
        mount.replace('\'', "\""),
        disk.display()
    );
    let output = shell(&script, &train, &tiny, &disk.join("out"));
    refuses(&output, &["cannot write checkpoint ", " and its disk has ", " free; nothing is half written: make room"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("LEFT"), "{output:?}");
}

#[test]
fn a_limit_of_file_sizes_is_said_in_words_and_lifting_it_lets_the_run_go_on() {
    let (Some(tiny), Some(train)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    // 512-byte blocks; a checkpoint under way has several megabytes, a finished one 1 MB.
    let output = shell("trap '' XFSZ; ulimit -f 1000; exec \"$@\"", &train, &tiny, &out);
    refuses(
        &output,
        &["cannot write checkpoint pretrain.step-1.partial: it takes ", "`ulimit -f`", "nothing is half written"],
    );
    assert!(is_tidy(&out));
    let output = shell("exec \"$@\"", &train, &tiny, &out);
    assert!(output.status.success(), "{output:?}");
}
