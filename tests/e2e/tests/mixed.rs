//! Models with operations that have no integer kernel: those run in float, are named, and what is around them stays exact.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail there")]

use std::path::Path;

use prost::Message;
use remedis_bundle::{Bundle, TrustedKeys};
use remedis_export::agreement::npy;
use remedis_inference::Network;
use remedis_onnx::{ATTRIBUTE_FLOAT, AttributeProto, GraphProto, ModelProto, NodeProto};
use remedis_programs::{Tiny, program, say};

struct Student {
    model: ModelProto,
    shape: [usize; 3],
    n_classes: usize,
    inputs: Vec<Vec<f32>>,
}

impl Student {
    fn of(tiny: &Tiny) -> Self {
        let keys = TrustedKeys::from_arguments(&[tiny.key().display().to_string()]).unwrap();
        let bundle = Bundle::open(&tiny.bundle(), &keys).unwrap();
        let manifest = bundle.manifest();
        let preprocessing = &manifest.preprocessing;
        let shape = [preprocessing.channels.count(), preprocessing.height as usize, preprocessing.width as usize];
        let volume = shape.iter().product::<usize>();
        let value = |image: usize, at: usize| ((at * 37 + image * 101) % 257) as f32 / 64.0 - 2.0;
        let inputs = (0..4).map(|image| (0..volume).map(|at| value(image, at)).collect()).collect();
        Self { model: ModelProto::decode(bundle.model()).unwrap(), shape, n_classes: manifest.classes.len(), inputs }
    }

    fn network(&self, model: &ModelProto) -> Network {
        Network::load(&model.encode_to_vec(), self.shape, self.n_classes).unwrap()
    }

    fn answers(&self, model: &ModelProto) -> Vec<Vec<f32>> {
        let network = self.network(model);
        self.inputs.iter().map(|input| network.run(input).unwrap()).collect()
    }
}

fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        name: output.to_owned(),
        op_type: op.to_owned(),
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// A LeakyRelu of slope 1, which changes nothing and which we do not know, behind every `nth` stored result; stored again after it.
fn interrupted(model: &ModelProto, nth: usize) -> (ModelProto, usize) {
    let mut model = model.clone();
    let GraphProto { node: nodes, initializer, .. } = model.graph.as_mut().unwrap();
    let is_constant = |name: &str| initializer.iter().any(|constant| constant.name == name);
    let (mut n_stored, mut n_inserted) = (0, 0);
    for mut old in std::mem::take(nodes) {
        n_stored += usize::from(old.op_type == "DequantizeLinear" && !is_constant(&old.input[0]));
        if old.op_type != "DequantizeLinear" || is_constant(&old.input[0]) || n_stored % nth != 0 {
            nodes.push(old);
            continue;
        }
        let name = old.output[0].clone();
        let [real, leaked, again] = ["real", "leaked", "again"].map(|word| format!("{name}.{word}"));
        let (scale, zero) = (old.input[1].clone(), old.input[2].clone());
        old.output[0].clone_from(&real);
        let slope = AttributeProto {
            name: "alpha".to_owned(),
            f: Some(1.0),
            r#type: Some(ATTRIBUTE_FLOAT),
            ..AttributeProto::default()
        };
        let leaky = NodeProto { attribute: vec![slope], ..node("LeakyRelu", &[&real], &leaked) };
        let store = node("QuantizeLinear", &[&leaked, &scale, &zero], &again);
        nodes.extend([old, leaky, store, node("DequantizeLinear", &[&again, &scale, &zero], &name)]);
        n_inserted += 1;
    }
    (model, n_inserted)
}

#[test]
fn layers_around_operations_in_float_keep_their_bits() {
    let Some(tiny) = Tiny::find() else { return };
    let student = Student::of(&tiny);
    let expected = student.answers(&student.model);
    for nth in [1, 2, 3, 7] {
        let (model, n_inserted) = interrupted(&student.model, nth);
        assert!(n_inserted > 0);
        let network = student.network(&model);
        assert_eq!(network.engine(), "integers, and float between them (tract)");
        assert_eq!(student.answers(&model), expected, "interrupted {n_inserted} times");
    }
}

#[test]
fn a_softmax_at_the_end_leaves_the_layers_in_integers_and_is_named() {
    let (Some(tiny), Some(remedis)) = (Tiny::find(), program("remedis")) else { return };
    let student = Student::of(&tiny);
    let mut model = student.model.clone();
    let graph = model.graph.as_mut().unwrap();
    let last = graph.node.iter_mut().find(|node| node.output[0] == graph.output[0].name).unwrap();
    last.output[0] = "before".to_owned();
    let output = graph.output[0].name.clone();
    graph.node.push(NodeProto { name: "odds".to_owned(), ..node("Softmax", &["before"], &output) });
    let logits = student.answers(&student.model);
    for (probabilities, logits) in student.answers(&model).iter().zip(&logits) {
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
        for (found, logit) in probabilities.iter().zip(logits) {
            assert!((found - (logit - most).exp() / sum).abs() < 1e-5, "{probabilities:?} of {logits:?}");
        }
    }

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [channels, height, width] = student.shape;
    std::fs::write(at("model.onnx"), model.encode_to_vec()).unwrap();
    std::fs::write(at("input.npy"), npy(&[1, channels, height, width], &student.inputs[0])).unwrap();
    let expects = |arguments: &[&dyn AsRef<std::ffi::OsStr>], code: i32, words: &str| {
        let said = say(&remedis, arguments);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert!(said.out.contains(words) || said.err.contains(words), "expected {words:?} in {said:?}");
    };
    let (file, input): (&Path, &Path) = (&at("model.onnx"), &at("input.npy"));
    let named = "odds runs in float: Softmax is not computed in integers";
    expects(&[&"run", &file, &"--input", &input, &"--output", &at("output.npy")], 0, named);
    expects(&[&"bench", &file, &"--input", &input, &"--iterations", &"2"], 0, "integers, and float between them");
    expects(&[&"compile", &file, &"--output", &at("model.plan")], 2, "odds: Softmax is not computed in integers");
    assert!(!at("model.plan").exists());
}
