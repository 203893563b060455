//! The same student in our engine, in onnxruntime, and by the integer meaning of its file.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use remedis_bundle::{Bundle, TrustedKeys};
use remedis_data::{Index, Split};
use remedis_export::agreement::npy;
use remedis_imaging::prepare;
use remedis_inference::{Model, Network};
use remedis_programs::{Tiny, peer_python, peer_says, program};

/// Test images compared, of both sites.
const N_IMAGES: usize = 60;

fn open(tiny: &Tiny) -> Bundle {
    let key = tiny.key().display().to_string();
    Bundle::open(&tiny.bundle(), &TrustedKeys::from_arguments(&[key]).unwrap()).unwrap()
}

/// Prepared test images of both synthetic hospitals.
fn prepared(tiny: &Tiny, bundle: &Bundle) -> Vec<Vec<f32>> {
    let of = |name: &str| {
        let index = Index::open(&tiny.set(name)).unwrap();
        let rows: Vec<usize> = (0..index.rows.len()).filter(|row| index.rows[*row].split == Split::Test).collect();
        let input = &bundle.manifest().preprocessing;
        let read = |row: &usize| prepare(&index.image(*row, input.depth_bits).unwrap(), input).unwrap();
        rows.iter().take(N_IMAGES / 2).map(read).collect::<Vec<_>>()
    };
    [of("cells_a"), of("cells_b")].concat()
}

fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
}

#[test]
fn onnxruntime_agrees_with_our_runtime_on_float_and_int8() {
    let Some(tiny) = Tiny::find() else { return };
    let (Some(python), Some(remedis)) = (peer_python(), program("remedis")) else { return };
    let bundle = open(&tiny);
    let inputs = prepared(&tiny, &bundle);
    let manifest = bundle.manifest();
    let [channels, height, width] = [
        manifest.preprocessing.channels.count(),
        manifest.preprocessing.height as usize,
        manifest.preprocessing.width as usize,
    ];
    let n_classes = manifest.classes.len();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("inputs.npy", &npy(&[inputs.len(), channels, height, width], &inputs.concat()));
    let float = std::fs::read(tiny.folder.join("run/float.onnx")).unwrap();
    for (name, onnx) in [("float", float.as_slice()), ("int8", bundle.model())] {
        let network = Network::load(onnx, [channels, height, width], n_classes).unwrap();
        let logits: Vec<Vec<f32>> = inputs.iter().map(|input| network.run(input).unwrap()).collect();
        write(&format!("{name}.onnx"), onnx);
        write(&format!("{name}.npy"), &npy(&[inputs.len(), n_classes], &logits.concat()));
    }
    let said = peer_says(&python, "agree.py", &[&folder.path()]);
    println!("{}", said.out);
    assert_eq!(said.code, Some(0), "{said:?}");
    let (model, inputs) = (folder.path().join("int8.onnx"), folder.path().join("inputs.npy"));
    let said = peer_says(
        &python,
        "semantics.py",
        &[&model, &"--ours", &remedis, &"--inputs", &inputs, &"--count", &N_IMAGES.to_string()],
    );
    println!("{}", said.out);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn golden_vectors_of_another_model_do_not_open() {
    let Some(tiny) = Tiny::find() else { return };
    let bundle = open(&tiny);
    Model::open(&bundle).unwrap();
    let key = remedis_bundle::SigningKey::generate().unwrap();
    let trusted = TrustedKeys::from_texts(&[key.public_key()]).unwrap();
    let reseal = |manifest: remedis_bundle::Manifest| {
        let mut builder = remedis_bundle::BundleBuilder::new(manifest);
        for (name, _) in bundle.sections().filter(|(name, _)| *name != "manifest.json") {
            builder = builder.section(name, bundle.section(name).unwrap());
        }
        Bundle::from_bytes(&builder.seal(&key).unwrap(), &trusted).unwrap()
    };
    let mut shifted = bundle.manifest().clone();
    shifted.golden.vectors[0].logits[0] += 2.0 * shifted.golden.tolerance + 1e-3;
    let error = Model::open(&reseal(shifted)).unwrap_err().to_string();
    assert!(error.contains("did not come back on this processor"), "{error}");
    let mut renamed = bundle.manifest().clone();
    let decided = argmax(&renamed.golden.vectors[0].logits);
    renamed.golden.vectors[0].decision = renamed.classes[(decided + 1) % renamed.classes.len()].clone();
    let error = Model::open(&reseal(renamed)).unwrap_err().to_string();
    assert!(error.contains("should be decided"), "{error}");
    let mut format = bundle.manifest().clone();
    format.model.format = "nnef".to_owned();
    let error = Model::open(&reseal(format)).unwrap_err().to_string();
    assert!(error.contains("nnef"), "{error}");
}
