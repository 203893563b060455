//! What a plan file can say that is not so: each lie is refused, and none is believed about memory.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/random.rs"]
mod random;

use proptest::prelude::*;
use remedis_kernels::{Constants, Lines};
use remedis_plan::{Engine, Family, OpenPlanError, Plan, Program, ProgramError, Shape};

fn plan(seed: u64) -> (Plan, Shape) {
    let (graph, shape) = random::random_graph(seed);
    (Plan::compile(&graph, &[shape], Family::ALL[seed as usize % Family::ALL.len()]).unwrap(), shape)
}

/// The same bytes with a checksum that fits them.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes[16..]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn run(plan: &Plan, input: &[f32]) -> Vec<Vec<f32>> {
    let shapes = plan.program().outputs.iter().map(|output| output.shape);
    let mut outputs: Vec<Vec<f32>> = shapes.map(|shape| vec![0.0; shape.volume()]).collect();
    let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    Engine::new(plan.clone(), 1).run(&[input], &mut slices);
    outputs
}

#[test]
fn a_plan_comes_back_from_its_file_and_answers_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.plan");
    for seed in 0..6 {
        let (plan, shape) = plan(seed);
        plan.write(&path).unwrap();
        let input = random::random_input(seed, shape);
        let mapped = Plan::open(&path).unwrap();
        assert_eq!(mapped.program(), plan.program());
        assert_eq!(run(&mapped, &input), run(&plan, &input));
        assert_eq!(run(&Plan::from_bytes(&plan.to_bytes()).unwrap(), &input), run(&plan, &input));
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a.plan"], "nothing half-written is left behind");
}

#[test]
fn each_lie_of_the_header_has_its_own_refusal() {
    let good = plan(1).0.to_bytes();
    let refusal = |bytes: &[u8]| Plan::from_bytes(bytes).unwrap_err();
    assert!(matches!(refusal(b"PK"), OpenPlanError::NoPlan));
    assert!(matches!(refusal(&good[..40]), OpenPlanError::NoPlan));
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= byte;
        bytes
    };
    assert!(
        matches!(refusal(&with(8, 0x40)), OpenPlanError::Version { found } if found == remedis_plan::VERSION ^ 0x40)
    );
    assert!(matches!(refusal(&good[..good.len() - 1]), OpenPlanError::Length { .. }));
    for at in [16, 23, 24, 31] {
        assert!(matches!(refusal(&signed(with(at, 0x80))), OpenPlanError::Length { .. }), "byte {at}");
    }
    assert!(matches!(refusal(&with(good.len() - 3, 1)), OpenPlanError::Checksum { .. }));
}

#[test]
fn a_plan_for_another_family_is_refused_where_speed_is_wanted() {
    let here = remedis_plan::Backend::detect().family();
    for seed in 0..3 {
        let (plan, _) = plan(seed);
        assert_eq!(plan.check_family().is_ok(), plan.program().family == here);
    }
}

/// What fuzzing found: each was believed once.
#[test]
fn programs_that_leave_something_out_are_refused() {
    let (plan, _) = plan(1);
    let refusal = |change: fn(&mut Program)| {
        let mut program = plan.program().clone();
        change(&mut program);
        Plan::new(program, Constants::Owned(Lines::new(plan.constants().bytes().len()))).unwrap_err()
    };
    let empty = refusal(|program| program.chains.push(vec![]));
    assert!(matches!(empty, ProgramError::Empty { .. }), "{empty}");
    let output = refusal(|program| program.outputs.push(program.outputs[0].clone()));
    assert!(matches!(output, ProgramError::Output { found: 0, .. }), "{output}");
    let size = refusal(|program| {
        let mut input = program.inputs[0].clone();
        input.shape.height = usize::MAX / 2;
        program.inputs.push(input);
    });
    assert!(matches!(size, ProgramError::Size { .. }), "{size}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 300 } else { 20_000 }))]

    /// Whatever a changed program says, it is refused, or it runs within its memory and comes to an end.
    #[test]
    fn changed_programs_are_refused_or_run(seed in 0..40_u64, at: prop::sample::Index, to: u8, second: Option<(prop::sample::Index, u8)>) {
        let (plan, shape) = plan(seed);
        let mut bytes = plan.to_bytes();
        let length = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize;
        for (at, to) in [Some((at, to)), second].into_iter().flatten() {
            bytes[64 + at.index(length)] = to;
        }
        if let Ok(changed) = Plan::from_bytes(&signed(bytes)) {
            let is_same_input = changed.program().inputs.len() == 1 && changed.program().inputs[0].shape == shape;
            if is_same_input && changed.memory(1) < 64 << 20 {
                run(&changed, &random::random_input(seed, shape));
            }
        }
    }
}
