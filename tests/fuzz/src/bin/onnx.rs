//! The reader of quantised ONNX files, and whatever it makes of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_plan::{Family, Plan, Shape, onnx};

fuzz_target!(|data: &[u8]| {
    let Ok(reading) = onnx::read(data) else { return };
    for island in &reading.islands {
        let shapes: Vec<Shape> =
            island.graph.inputs.iter().map(|_| Shape { height: 4, width: 4, channels: 2 }).collect();
        for family in Family::ALL {
            if let Ok(plan) = Plan::compile(&island.graph, &shapes, family) {
                remedis_fuzz::run(&plan);
            }
        }
    }
});
