//! Whole networks give the specification's bits, on every family of processors, for every number of threads.

#[path = "common/random.rs"]
mod random;
#[path = "common/reference.rs"]
mod reference;

use proptest::prelude::*;
use remedis_kernels::Family;
use remedis_plan::{Engine, Plan};

fn answers(plan: &Plan, threads: usize, input: &[f32]) -> Vec<Vec<f32>> {
    let mut engine = Engine::new(plan.clone(), threads);
    let shapes = plan.program().outputs.iter().map(|output| output.shape);
    let mut outputs: Vec<Vec<f32>> = shapes.map(|shape| vec![f32::NAN; shape.volume()]).collect();
    for _ in 0..2 {
        // The second time over what the first one left behind.
        let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        engine.run(&[input], &mut slices);
    }
    outputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 600 }))]

    #[test]
    fn networks_are_exact(seed: u64) {
        let (graph, shape) = random::random_graph(seed);
        let input = random::random_input(seed, shape);
        let expected = reference::evaluate(&graph, &[shape], std::slice::from_ref(&input));
        for family in Family::ALL {
            let plan = Plan::compile(&graph, &[shape], family).unwrap();
            for threads in [1, 3] {
                prop_assert_eq!(&answers(&plan, threads, &input), &expected, "{:?}, {} threads", family, threads);
            }
        }
    }
}
