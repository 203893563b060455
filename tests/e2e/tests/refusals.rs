//! Bad input gets an error that says what, where and what to do, and the exit code 2.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::path::Path;

use remedis_programs::{Said, Tiny, program, say};

/// The program could not run, and its error holds every one of `words`.
fn refuses(said: &Said, words: &[&str]) {
    assert_eq!(said.code, Some(2), "{said:?}");
    for word in words {
        assert!(said.err.contains(word), "expected {word:?} in {said:?}");
    }
}

fn write_set(folder: &Path, csv: &str, files: &[(&str, &[u8])]) {
    std::fs::write(folder.join("labels.csv"), csv).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

fn picture(grey: u8) -> Vec<u8> {
    let pixels: Vec<u8> = (0..16 * 16u32).map(|at| grey.wrapping_add((at * 7 % 31) as u8)).collect();
    remedis_imaging::encode_png(&remedis_imaging::Image::new(16, 16, remedis_imaging::Channels::Grey, pixels))
}

#[test]
fn a_missing_label_column_is_named_with_its_file() {
    let Some(train) = program("remedis-train") else { return };
    let folder = tempfile::tempdir().unwrap();
    write_set(folder.path(), "file,site\na.png,x\n", &[("a.png", &picture(1))]);
    let out = folder.path().join("out");
    let said = say(&train, &[&"run", &"--data", &folder.path(), &"--shifted", &folder.path(), &"--out", &out]);
    refuses(&said, &["no column label", &folder.path().display().to_string(), "file, site"]);
}

#[test]
fn a_one_class_set_is_refused() {
    let Some(train) = program("remedis-train") else { return };
    let folder = tempfile::tempdir().unwrap();
    let names = ["a.png", "b.png", "c.png"];
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().enumerate().map(|(at, name)| (*name, picture(at as u8 * 60))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    write_set(folder.path(), "file,label,split\na.png,only,train\nb.png,only,val\nc.png,only,test\n", &files);
    let out = folder.path().join("out");
    let said = say(&train, &[&"run", &"--data", &folder.path(), &"--shifted", &folder.path(), &"--out", &out]);
    refuses(&said, &["expected at least two", "only"]);
}

#[test]
fn an_empty_folder_is_refused() {
    let (Some(tiny), Some(remedis), Some(train)) = (Tiny::find(), program("remedis"), program("remedis-train")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let said = say(&remedis, &[&"run", &tiny.bundle(), &folder.path(), &"--key", &tiny.key()]);
    refuses(&said, &["holds no image", &folder.path().display().to_string()]);
    let out = folder.path().join("out");
    let said = say(&train, &[&"run", &"--data", &folder.path(), &"--shifted", &folder.path(), &"--out", &out]);
    refuses(&said, &[&folder.path().display().to_string()]);
}

#[test]
fn a_corrupt_picture_is_reported_and_the_others_are_answered() {
    let (Some(tiny), Some(remedis)) = (Tiny::find(), program("remedis")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut broken = picture(3);
    broken.truncate(40);
    std::fs::write(folder.path().join("a.png"), broken).unwrap();
    std::fs::write(folder.path().join("b.png"), picture(9)).unwrap();
    let said = say(&remedis, &[&"run", &tiny.bundle(), &folder.path(), &"--key", &tiny.key(), &"--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let lines: Vec<serde_json::Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["error"].is_string() && lines[1]["decision"].is_string(), "{said:?}");
    assert_eq!(lines[1]["classes"].as_array().unwrap().len(), lines[1]["probabilities"].as_array().unwrap().len());
}

#[test]
fn a_reader_that_goes_away_ends_the_answers_without_a_panic() {
    let (Some(tiny), Some(remedis)) = (Tiny::find(), program("remedis")) else { return };
    let folder = tempfile::tempdir().unwrap();
    // Scanners leave the ending out; the first file is DICOM only by its preamble.
    let preamble = [vec![0; 128], b"DICM".to_vec()].concat();
    std::fs::write(folder.path().join("IM0001"), preamble).unwrap();
    for number in 0..40 {
        std::fs::write(folder.path().join(format!("{number:02}.png")), picture(number)).unwrap();
    }
    let mut running = std::process::Command::new(&remedis)
        .args(["run", "--json", "--key"])
        .arg(tiny.key())
        .arg(tiny.bundle())
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(running.stdout.take());
    let output = running.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut inspect = std::process::Command::new(&remedis);
    let output =
        inspect.arg("inspect").arg(tiny.bundle()).arg("--key").arg(tiny.key()).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    let said = say(&remedis, &[&"run", &tiny.bundle(), &folder.path(), &"--key", &tiny.key(), &"--json"]);
    let last: serde_json::Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    assert!(last["file"].as_str().unwrap().ends_with("IM0001") && last["error"].is_string(), "{last}");
}

#[test]
fn a_wrong_key_names_both_keys() {
    let (Some(tiny), Some(remedis)) = (Tiny::find(), program("remedis")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let made = say(&remedis, &[&"keys", &"generate", &"--out", &folder.path()]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let key = folder.path().join("signing.pub");
    refuses(&say(&remedis, &[&"bundle", &"verify", &tiny.bundle(), &"--key", &key]), &["signed with key", "trusted: "]);
    refuses(&say(&remedis, &[&"keys", &"generate", &"--out", &folder.path()]), &["exists"]);
}

#[test]
fn a_flipped_byte_a_cut_and_a_newer_format_each_say_so() {
    let (Some(tiny), Some(remedis)) = (Tiny::find(), program("remedis")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(tiny.bundle()).unwrap();
    let at = folder.path().join("bundle.remedis");
    let verify = |bytes: &[u8], word: &str| {
        std::fs::write(&at, bytes).unwrap();
        refuses(&say(&remedis, &[&"bundle", &"verify", &at, &"--key", &tiny.key()]), &[word, "bundle.remedis"]);
    };
    let mut flipped = whole.clone();
    flipped[whole.len() - 100] ^= 1;
    verify(&flipped, "damaged");
    verify(&whole[..whole.len() / 2], "bytes");
    let mut newer = whole.clone();
    newer[8] = 9;
    verify(&newer, "version 9");
    verify(
        b"PK\x03\x04 something else entirely, and long enough for a header to be read from it",
        "not a REMEDIS bundle",
    );
}

#[test]
fn an_unplugged_line_is_said_by_the_device() {
    let (Some(tiny), Some(device)) = (Tiny::find(), program("remedis-device")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("device.toml");
    std::fs::write(&config, "bundle = 3\n").unwrap();
    refuses(&say(&device, &[&"check", &config]), &["device.toml", "bundle"]);
    let absent = folder.path().join("no-such-line");
    let text = format!(
        "bundle = {:?}\ntrusted_keys = [{:?}]\n[link]\nport = {absent:?}\nbaud = 921600\ndevice_id = 1\nmax_image_bytes = \
         4194304\nresult_retry_ms = 500\nquiet_after_ms = 10000\n[journal]\nanswers = \"answers.sqlite\"\naudit = \"audit.log\"\n",
        tiny.bundle(),
        tiny.key()
    );
    std::fs::write(&config, text).unwrap();
    let mut running = std::process::Command::new(&device)
        .arg("run")
        .arg(&config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(running.stderr.take().unwrap()));
    let told = lines.map_while(Result::ok).find(|line| line.contains("no-such-line"));
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(told.is_some(), "the device says which line it cannot open, and goes on trying");
}
