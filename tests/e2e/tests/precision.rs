//! Mixed precision through the command: where the device has the type, recorded step by step, and refused where it has not.

use std::path::Path;

use remedis_programs::{Said, Tiny, program, say};
use serde_json::Value;

fn train(program: &Path, verb: &str, tiny: &Tiny, device: &str, precision: &str, out: Option<&Path>) -> Said {
    let (data, natural) = (tiny.set("cells_a"), tiny.set("natural"));
    let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> =
        vec![&verb, &"--recipe", &"tiny", &"--data", &data, &"--natural", &natural];
    arguments.extend([&"--device" as &dyn AsRef<std::ffi::OsStr>, &device, &"--precision", &precision]);
    if let Some(out) = &out {
        arguments.extend([&"--out" as &dyn AsRef<std::ffi::OsStr>, out]);
    }
    say(program, &arguments)
}

#[test]
fn half_precision_trains_with_a_scale_that_metrics_show_and_the_plan_keeps() {
    let (Some(tiny), Some(program)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let said = train(&program, "contrast", &tiny, "cpu", "f16", Some(&out));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(std::fs::read_to_string(out.join("plan.toml")).unwrap().contains("\nprecision = \"f16\"\n"));
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let steps: Vec<Value> = lines.filter(|line| line["step"].is_u64()).collect();
    assert!(!steps.is_empty());
    for step in &steps {
        let (scale, skipped) = (step["loss_scale"].as_f64().unwrap(), step["skipped_steps"].as_u64().unwrap());
        assert!(scale.log2().fract() == 0.0 && scale >= 1.0, "{step}");
        assert!(step["loss"].as_f64().unwrap().is_finite() && skipped < step["step"].as_u64().unwrap() + 1, "{step}");
    }
}

#[test]
fn a_device_without_the_type_is_refused_before_anything_starts() {
    let (Some(tiny), Some(program)) = (Tiny::find(), program("remedis-train")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let said = train(&program, "contrast", &tiny, "ndarray", "bf16", Some(&out));
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("this device does not compute in bf16, only in f32"), "{said:?}");
    assert!(!out.exists(), "nothing is left behind");
    let said = train(&program, "check", &tiny, "ndarray", "bf16", None);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("WRONG: this device does not compute in bf16"), "{said:?}");
    let said = say(&program, &[&"doctor", &"--device", &"ndarray", &"--out", &folder.path()]);
    assert!(said.out.contains("this --device computes in f32\n"), "{said:?}");
}
