//! Honest files, for the fuzzer to change.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use remedis_link::{Deframer, Format, FrameHeader, Identity, Known, Packet, Received, Receiver, Sender, Step, Timing};
use remedis_plan::{Family, Plan};
use serde_json::json;

use crate::builder::{Builder, int, ints};
use crate::random;

/// Plans of all families, in the form that [`plan_file`](crate::plan_file) reads.
pub fn plans() -> impl Iterator<Item = Vec<u8>> {
    (0..24).filter_map(|seed| {
        let (graph, shape) = random::random_graph(seed);
        let plan = Plan::compile(&graph, &[shape], Family::ALL[seed as usize % Family::ALL.len()]).unwrap();
        let bytes = plan.to_bytes();
        let length = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
        let cut = u16::try_from(length).ok()?;
        let constants = (64 + length).next_multiple_of(64);
        Some([&cut.to_le_bytes(), &bytes[64..64 + length], &bytes[constants..]].concat())
    })
}

/// Small files with a little of everything.
pub fn onnx() -> impl Iterator<Item = Vec<u8>> {
    [Builder::new(), Builder::unsigned()].into_iter().map(|mut builder| {
        let x = builder.store("x", 0.5, 3);
        let c = builder.conv("c", &x);
        let d = builder.conv("d", &c);
        builder.node("Add", &[&d, &c], "a", vec![]);
        builder.node("Relu", &["a"], "r", vec![]);
        let r = builder.store("r", 1.0, -128);
        builder.node("MaxPool", &[&r], "p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
        let p = builder.store("p", 1.0, -128);
        let weights = builder.weights("k", &[2, 1, 1, 1], &[9, -9], &[0.5, 0.25], 0);
        builder.node("Conv", &[&p, &weights], "e", vec![int("group", 2)]);
        builder.floats("none", &[], &[0.0]);
        builder.floats("six", &[], &[6.0]);
        builder.node("Clip", &["e", "none", "six"], "l", vec![]);
        let l = builder.store("l", 0.1, -128);
        builder.node("GlobalAveragePool", &[&l], "g", vec![]);
        let g = builder.store("g", 0.5, -128);
        builder.longs("shape", &[1, -1]);
        builder.node("Reshape", &[&g, "shape"], "f", vec![]);
        let f = builder.store("f", 0.5, -128);
        let weights = builder.weights("w", &[3, 2], &[1, 2, 3, 4, 5, 6], &[0.1, 0.2, 0.3], 0);
        let bias = builder.bias("b", &[7, 8, 9], &[0.05, 0.1, 0.15]);
        builder.node("Gemm", &[&f, &weights, &bias], "y", vec![int("transB", 1)]);
        builder.output("y");
        builder.file()
    })
}

/// Small pictures: PNG and JPEG, grey and in colour, PNG of 16 bits, and DICOM files of one grey frame of 8 and of 12 bits.
pub fn pictures() -> impl Iterator<Item = Vec<u8>> {
    use image::ExtendedColorType::{L8, Rgb8};
    use remedis_imaging::{Channels, Image, encode_png};
    let (width, height) = (19, 11);
    let pixels = |n: u32| (0..width * height * n).map(|i| (i * i * 37 % 251) as u8).collect::<Vec<_>>();
    let png = |n, channels| encode_png(&Image::new(width, height, channels, pixels(n)));
    let jpeg = |n, colour| {
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 80);
        encoder.encode(&pixels(n), width, height, colour).unwrap();
        bytes
    };
    let deep: Vec<u16> = (0..width * height).map(|i| (i * i * 37 % 4093) as u16).collect();
    let deep_png = encode_png(&Image::new(width, height, Channels::Grey, deep.clone()));
    let bytes: Vec<u8> = deep.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let dicoms = [dicom(width as u16, height as u16, 8, &pixels(1)), dicom(width as u16, height as u16, 12, &bytes)];
    [png(1, Channels::Grey), png(3, Channels::Rgb), jpeg(1, L8), jpeg(3, Rgb8), deep_png].into_iter().chain(dicoms)
}

/// Zip files: one of all pictures, half of them deflated, and one of no picture.
pub fn zips() -> impl Iterator<Item = Vec<u8>> {
    use zip::write::SimpleFileOptions;
    let zip = |members: Vec<Vec<u8>>| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (number, bytes) in members.iter().enumerate() {
            let method = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated][number % 2];
            zip.start_file(number.to_string(), SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    [zip(pictures().collect()), zip(vec![b"no picture".to_vec()])].into_iter()
}

/// Prepared images, some larger than the input and one that is no picture, in the form that [`shard_file`](crate::shard_file) reads.
pub fn shards() -> impl Iterator<Item = Vec<u8>> {
    use remedis_data::{Geometry, Index, write_shards};
    use remedis_imaging::Depth::{Eight, Sixteen};
    use remedis_imaging::{Channels, Resize};
    let set = tempfile::tempdir().unwrap();
    let mut table = "file,label,patient,split\n".to_owned();
    for (number, bytes) in pictures().chain([b"no picture".to_vec()]).enumerate() {
        std::fs::write(set.path().join(format!("{number}.bin")), bytes).unwrap();
        table += &format!("{number}.bin,{},p{number},train\n", number % 2);
    }
    std::fs::write(set.path().join("labels.csv"), table).unwrap();
    let index = Index::open(set.path()).unwrap();
    let forms = [
        (3, Channels::Grey, Eight),
        (9, Channels::Rgb, Eight),
        (40, Channels::Grey, Eight),
        (9, Channels::Grey, Sixteen),
    ];
    forms.into_iter().map(move |(side, channels, depth_bits)| {
        let geometry = Geometry { width: side, height: side, channels, depth_bits, resize: Resize::CentreCrop };
        let out = tempfile::tempdir().unwrap();
        write_shards(&index, "set", &geometry, out.path(), &mut |_| true).unwrap();
        let bytes = std::fs::read(out.path().join("shard-00000.shard")).unwrap();
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let (key, index) = (&bytes[64..64 + long(16)], &bytes[long(24)..]);
        let cuts = [key, index].map(|part| u16::try_from(part.len()).unwrap().to_le_bytes());
        [&cuts.concat(), key, index, &bytes[64 + long(16)..long(24)]].concat()
    })
}

/// Files of every format, and what is in them in the form that [`weight_files`](crate::weight_files) reads: a header and numbers,
/// an array, a pickle.
pub fn weights() -> impl Iterator<Item = Vec<u8>> {
    let golden = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../trainer/model/tests/golden");
        std::fs::read(Path::new(folder).join(name)).unwrap()
    };
    let pickled = ["bit.pth", "mobilenet_v2.pth", "resnet18.pth"].map(golden);
    let mapped = ["bit_timm.safetensors", "efficientnet_lite.safetensors"].map(golden);
    let arrays = golden("bit.npz");
    let behind = |cut: u16, bytes: &[u8]| [&cut.to_le_bytes(), bytes].concat();
    let mut parts: Vec<Vec<u8>> = mapped
        .iter()
        .map(|file| {
            let header = u64::from_le_bytes(file[..8].try_into().unwrap());
            behind(u16::try_from(header).unwrap(), &file[8..])
        })
        .collect();
    for (file, end) in pickled.iter().map(|file| (file, "data.pkl")).chain([(&arrays, "group_norm/beta.npy")]) {
        // Pickles before version 1.6 of PyTorch are not zipped.
        let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(file)) else { continue };
        let found = archive.file_names().flatten().find(|name| name.ends_with(end)).map(|name| name.to_string());
        let Some(name) = found else { continue };
        let mut bytes = Vec::new();
        archive.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        parts.push(behind(0, &bytes));
    }
    pickled.into_iter().chain(mapped).chain([arrays]).chain(parts)
}

/// Explicit little endian, the attributes that a grey frame of samples of so many bits needs.
fn dicom(width: u16, height: u16, bits: u16, pixels: &[u8]) -> Vec<u8> {
    let element = |group: u16, number: u16, kind: &str, value: &[u8]| {
        let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
        bytes.extend(kind.as_bytes());
        let padded = value.len().next_multiple_of(2);
        if kind.starts_with('O') {
            bytes.extend([0, 0]);
            bytes.extend((padded as u32).to_le_bytes());
        } else {
            bytes.extend((padded as u16).to_le_bytes());
        }
        bytes.extend(value);
        bytes.resize(bytes.len() + padded - value.len(), 0);
        bytes
    };
    let short = |number: u16, value: u16| element(0x28, number, "US", &value.to_le_bytes());
    let meta = [
        element(2, 2, "UI", b"1.2.840.10008.5.1.4.1.1.7"),
        element(2, 3, "UI", b"1.2.3"),
        element(2, 0x10, "UI", b"1.2.840.10008.1.2.1"),
    ]
    .concat();
    let parts = [
        vec![0; 128],
        b"DICM".to_vec(),
        element(2, 0, "UL", &(meta.len() as u32).to_le_bytes()),
        meta,
        short(2, 1),
        element(0x28, 4, "CS", b"MONOCHROME2"),
        short(0x10, height),
        short(0x11, width),
        short(0x100, bits.next_multiple_of(8)),
        short(0x101, bits),
        short(0x102, bits - 1),
        short(0x103, 0),
        element(0x7fe0, 0x10, if bits > 8 { "OW" } else { "OB" }, pixels),
    ];
    parts.concat()
}

/// Manifests of either depth, and the payload that holds the first.
pub fn bundles() -> impl Iterator<Item = Vec<u8>> {
    let measured = json!({ "value": 0.9, "low": 0.8, "high": 0.95, "n": 50 });
    let class = |name: &str| json!({ "class": name, "sensitivity": measured, "specificity": measured });
    let manifest = json!({
        "format_version": remedis_bundle::FORMAT_VERSION,
        "name": "cells",
        "version": "1",
        "intended_use": "tests",
        "classes": ["a", "b"],
        "preprocessing": {
            "width": 64, "height": 64, "channels": "grey", "resize": "stretch", "mean": [0.5], "std": [0.5]
        },
        "probability_calibration": { "temperature": 1.5 },
        "operating_point": {
            "confidence_threshold": 0.6,
            "measured_on": "validation",
            "coverage": measured,
            "classes": [class("a"), class("b")]
        },
        "model": { "section": "model.onnx", "format": "onnx-qdq-13", "input": "input", "output": "logits" },
        "golden": {
            "tolerance": 0.1,
            "vectors": [{ "input": "golden/0.png", "logits": [1.0, -1.0], "decision": "a" }]
        },
        "provenance": { "plan_sha256": "00", "seed": 7, "data": [], "tools": {} }
    });
    let mut deep = manifest.clone();
    deep["preprocessing"]["depth_bits"] = json!(16);
    let [manifest, deep] = [manifest, deep].map(|manifest| manifest.to_string().into_bytes());
    [crate::payload(&manifest), manifest, deep].into_iter()
}

/// All packets of a session in which a frame is sent and answered, as [`bodies`](crate::bodies) reads them.
pub fn sessions() -> impl Iterator<Item = Vec<u8>> {
    [b"picture".repeat(3), b"a longer picture".repeat(90)].into_iter().map(|image| {
        let mut hardware = Sender::new(7, Timing { ack_ms: 50, result_ms: 50, keepalive_ms: 50, retries: 3 });
        let mut device = Receiver::new(vec![0; 1 << 12], Identity { device_id: 1, result_retry_ms: 50 });
        let header = FrameHeader::new(3, Format::Png, 0, 0, &image).unwrap();
        hardware.send(0, header, image).unwrap();
        let (mut session, mut packet) = (vec![], Packet::new());
        for now_ms in 0..100 {
            if hardware.poll(now_ms, &mut packet) {
                session.extend(described(&packet));
                if let Received::Complete(header) = device.receive(now_ms, &mut packet.as_bytes(), |_| Known::New) {
                    assert!(device.answer(now_ms, crate::outcome(header.id)));
                }
            }
            if device.poll(now_ms, &mut packet) {
                session.extend(described(&packet));
                hardware.receive(now_ms, &mut packet.as_bytes());
            }
        }
        session
    })
}

/// Conversations of an OpenMV camera and its host in the pieces that the target `openmv` reads, and what OpenMV's own client said to a
/// camera.
pub fn cameras() -> impl Iterator<Item = Vec<u8>> {
    let piece = |bytes: &[u8]| [&[bytes.len() as u8], bytes].concat();
    let talk = |damage: u8| piece(&[3, damage]);
    // A script that ran before is given half a second to end.
    let connected = [talk(0).repeat(20), piece(&[4, 40]), talk(0).repeat(20)].concat();
    let clean = [connected.clone(), [piece(&[5, 0]), talk(0), piece(&[5, 1]), talk(0)].concat().repeat(70)].concat();
    let hurt = [piece(&[5, 2]), talk(0).repeat(6), talk(77), piece(&[4, 20])].concat().repeat(30);
    let hurt = [connected, hurt].concat();
    let restarted = [clean.clone(), piece(&[6]), piece(&[4, 255]), clean.clone()].concat();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../firmware/openmv/tests/captures"));
    let mut capture = &std::fs::read(folder.join("clean.bin")).unwrap()[..];
    let mut client = Vec::new();
    while let [kind, _, _, _, _, a, b, c, d, rest @ ..] = capture {
        let (bytes, rest) = rest.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize);
        if *kind == b'>' && bytes.len() < 255 {
            client.extend(piece(&[&[0], bytes].concat()));
        }
        capture = rest;
    }
    [clean, hurt, restarted, client].into_iter()
}

/// The body of `packet` behind its length; a body too long for that is cut.
fn described(packet: &Packet) -> Vec<u8> {
    let mut deframer = Deframer::new();
    let Step::Frame { body } = deframer.next(&mut packet.as_bytes()) else { panic!("a packet of our own is whole") };
    let body = &body[..body.len().min(255)];
    [&[body.len() as u8], body].concat()
}

/// The settings that ship as an example, and the least that will do.
pub fn settings() -> impl Iterator<Item = Vec<u8>> {
    let least = "bundle='b'\ntrusted_keys=['k']\n[folder]\npath='i'\n[journal]\nanswers='a'\naudit='l'\n";
    [include_str!("../../../firmware/device/example.toml"), least].into_iter().map(|text| text.as_bytes().to_vec())
}
