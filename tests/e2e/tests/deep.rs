//! A whole chain on 16-bit grey films whose classes differ within one step of 8 bits, up to the device's answers.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::path::Path;

use remedis_imaging::{Channels, Image, encode_png};
use remedis_programs::{program, say};
use serde_json::Value;

/// 96 films of 40 x 40 pixels, brighter in the middle or about it by 150 of 65,535 levels; all one grey in 8 bits.
fn films(folder: &Path) {
    let mut table = "file,label,split\n".to_owned();
    for number in 0..96_u16 {
        let is_middle = |at: u16| (10..30).contains(&(at % 40)) && (10..30).contains(&(at / 40));
        let bright = |at: u16| u16::from(is_middle(at) == number.is_multiple_of(2)) * 150;
        let grain = |at: u16| ((u32::from(at) * (u32::from(number) + 7)).wrapping_mul(40_503) >> 7) as u16 % 40;
        let samples = (0..40 * 40).map(|at| 0x3fd0 + bright(at) + grain(at)).collect::<Vec<_>>();
        std::fs::write(folder.join(format!("{number}.png")), encode_png(&Image::new(40, 40, Channels::Grey, samples)))
            .unwrap();
        let split = ["train", "train", "train", "train", "val", "test"][usize::from(number / 2 % 6)];
        // One wrong validation label: without any, the fitted temperature makes every probability 1 and the threshold too.
        let label = if number == 8 { 1 } else { usize::from(number % 2) };
        table += &format!("{number}.png,{},{split}\n", ["middle", "rim"][label]);
    }
    std::fs::write(folder.join("labels.csv"), table).unwrap();
}

/// The tiny recipe for them; `from` and `to` are changed lines.
fn plan(train: &Path, path: &Path, changed: &[(&str, &str)]) {
    let mut text = say(train, &[&"plan", &"--recipe", &"tiny"]).out;
    for (from, to) in changed {
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        text = text.replace(from, to);
    }
    std::fs::write(path, text).unwrap();
}

const DEEP: [(&str, &str); 7] = [
    ("\nchannels = \"rgb\"\n", "\nchannels = \"grey\"\n"),
    ("\ndepth_bits = 8\n", "\ndepth_bits = 16\n"),
    ("\nmean = 0.5\n", "\nmean = 0.2507\n"),
    ("\nstd = 0.5\n", "\nstd = 0.0015\n"),
    ("\npair_by_patient = true\n", "\npair_by_patient = false\n"),
    ("\nsteps = 10\n", "\nsteps = 20\n"),
    ("\nepochs = 2\n", "\nepochs = 8\n"),
];

#[test]
fn sixteen_bits_go_from_the_set_to_the_devices_answers() {
    let (Some(train), Some(remedis)) = (program("remedis-train"), program("remedis")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (set, shards, deep, out) = (at("set"), at("shards"), at("deep.toml"), at("run"));
    std::fs::create_dir(&set).unwrap();
    films(&set);
    plan(&train, &deep, &DEEP);

    let said = say(&train, &[&"check", &deep, &"--data", &set, &"--skip-steps"]);
    assert!(said.code == Some(0) && said.out.contains("32 x 32 pixels, grey, 16 bits a sample"), "{said:?}");
    let said = say(
        &train,
        &[&"prepare", &"--data", &set, &"--size", &"32", &"--channels", &"grey", &"--depth", &"16", &"--out", &shards],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = say(&train, &[&"export", &deep, &"--data", &shards, &"--out", &out]);
    assert_eq!(said.code, Some(0), "{said:?}");

    // The device reads the files themselves; the trainer read shards.
    let predictions = std::fs::read_to_string(out.join("predictions/student_int8_in_distribution.csv")).unwrap();
    let (bundle, key) = (out.join("bundle.remedis"), out.join("keys/signing.pub"));
    let mut compared = 0;
    for line in predictions.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let said = say(&remedis, &[&"run", &bundle, &"--key", &key, &"--json", &set.join(format!("{}.png", cells[0]))]);
        let answer: Value = serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let logits: Vec<f64> =
            answer["logits"].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap()).collect();
        let middle = 1.0 / (1.0 + (logits[1] - logits[0]).exp());
        assert!((middle - cells[3].parse::<f64>().unwrap()).abs() < 1e-5, "{line}: {answer}");
        compared += 1;
    }
    assert_eq!(compared, 16);
    let right = predictions.lines().skip(1).filter(|line| line.split(',').nth(1) == line.split(',').nth(2)).count();
    println!("{right} of 16 right");
    assert!(right >= 13, "{right} of 16 right, which 8 bits cannot tell apart");
    let said = say(&remedis, &[&"bundle", &"inspect", &bundle, &"--key", &key]);
    assert!(said.out.contains("16 bits a sample"), "{said:?}");
}

#[test]
fn sixteen_bits_in_colour_are_refused() {
    let Some(train) = program("remedis-train") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (set, path) = (folder.path().join("set"), folder.path().join("plan.toml"));
    std::fs::create_dir(&set).unwrap();
    films(&set);
    plan(&train, &path, &DEEP[1..2]);
    let said = say(&train, &[&"check", &path, &"--data", &set]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("input.depth_bits is 16 with input.channels = \"rgb\", expected 8"), "{said:?}");
    let out = folder.path().join("shards");
    let said = say(&train, &[&"prepare", &"--data", &set, &"--size", &"32", &"--depth", &"16", &"--out", &out]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("--depth is 16 with --channels rgb") && !out.exists(), "{said:?}");
}
