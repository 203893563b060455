//! Whole networks of the field give the same bits on every family and every processor: the checksums below were made on x86-64 and
//! are checked on emulated ARM by `cargo xtask cross`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use remedis_plan::{Backend, Engine, Family, Plan, probabilities};

#[path = "common/zoo.rs"]
mod zoo;

fn checksum(values: &[f32]) -> u32 {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
    crc32fast::hash(&bytes)
}

/// `expected`: checksums of logits and of probabilities.
fn check(name: &str, side: usize, families: &[Family], expected: [u32; 2]) {
    let (graph, shape) = zoo::network(name, side);
    let input: Vec<f32> = (0..shape.volume()).map(|at| ((at * 7919) % 2003) as f32 / 400.0 - 2.5).collect();
    for family in families {
        let plan = Plan::compile(&graph, &[shape], *family).unwrap();
        let mut output = vec![0.0; 1000];
        Engine::new(plan, 2).run(&[&input], &mut [&mut output]);
        let n_values = output.iter().map(|value| value.to_bits()).collect::<std::collections::BTreeSet<_>>().len();
        assert!(n_values > 20, "{name}: {n_values} different values say little");
        let found = [checksum(&output), checksum(&probabilities(&output, 1.7))];
        assert_eq!(found, expected, "{name} @{side} for {family:?}: {found:08x?}");
    }
}

/// The family of this processor at full size, every family (in plain Rust) at a small one.
#[test]
fn mobile_net_v2_gives_the_same_bits_everywhere() {
    check("mbv2", 96, &[Backend::detect().family()], [0xe57a_91c1, 0xf496_df4f]);
    check("mbv2", 32, &Family::ALL, [0x89af_d268, 0x8314_a6a8]);
}

#[test]
fn efficient_net_lite_0_gives_the_same_bits_everywhere() {
    check("lite0", 96, &[Backend::detect().family()], [0xb83e_c149, 0x1a0c_cf3a]);
    check("lite0", 32, &Family::ALL, [0x03d6_ce54, 0x006a_1409]);
}

#[test]
fn resnet_18_gives_the_same_bits_everywhere() {
    check("rn18", 96, &[Backend::detect().family()], [0x1b98_98db, 0x9f7d_8401]);
    check("rn18", 32, &Family::ALL, [0x03b5_9e08, 0x1a41_7506]);
}
