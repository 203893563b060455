//! A plan and the memory of those who run it.

use std::sync::{Mutex, PoisonError};

use remedis_plan::{Engine, Plan};

/// Runs a plan for several threads at once.
#[derive(Debug)]
pub(super) struct Integers {
    pub(super) plan: Plan,
    idle: Mutex<Vec<Engine>>,
}

impl Integers {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, idle: Mutex::default() }
    }

    /// The outputs for inputs of the plan's sizes, `[channel, height, width]` each.
    pub(super) fn run(&self, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
        let lock = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut engine = idle.unwrap_or_else(|| Engine::new(self.plan.clone(), 1));
        let volumes = self.plan.program().outputs.iter().map(|output| output.shape.volume());
        let mut outputs: Vec<Vec<f32>> = volumes.map(|volume| vec![0.0; volume]).collect();
        let mut slices: Vec<&mut [f32]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        engine.run(inputs, &mut slices);
        lock().push(engine);
        outputs
    }
}
