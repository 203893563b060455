//! A network as a tract plan, in float.

use std::sync::Arc;

use tract_onnx::prelude::*;

use super::NetworkError;

/// A network in tract.
#[derive(Clone, Debug)]
pub(super) struct Float {
    plan: Arc<TypedSimplePlan>,
    shape: [usize; 4],
    n_outputs: usize,
}

fn failed(error: &TractError) -> NetworkError {
    NetworkError::Tract { reason: format!("{error:#}") }
}

impl Float {
    pub(super) fn load(
        parse: impl FnOnce() -> TractResult<InferenceModel>,
        shape: [usize; 3],
        n_outputs: usize,
    ) -> Result<Self, NetworkError> {
        let shape = [1, shape[0], shape[1], shape[2]];
        let plan = parse().and_then(|model| plan(model, shape)).map_err(|error| failed(&error))?;
        match plan.model().outputs.len() {
            1 => Ok(Self { plan, shape, n_outputs }),
            found => Err(NetworkError::Output { expected: n_outputs, found: format!("{found} outputs") }),
        }
    }

    pub(super) fn run(&self, prepared: &[f32]) -> Result<Vec<f32>, NetworkError> {
        let outputs = self.execute(prepared).map_err(|error| failed(&error))?;
        if outputs.len() != self.n_outputs {
            return Err(NetworkError::Output { expected: self.n_outputs, found: format!("{} values", outputs.len()) });
        }
        Ok(outputs)
    }

    fn execute(&self, prepared: &[f32]) -> TractResult<Vec<f32>> {
        let input = Tensor::from_shape(&self.shape, prepared)?;
        let outputs = self.plan.run(tvec![input.into()])?;
        Ok(outputs[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    }
}

/// The model of a file.
pub(super) fn parse(onnx: &[u8]) -> TractResult<InferenceModel> {
    tract_onnx::onnx().model_for_read(&mut &*onnx)
}

fn plan(model: InferenceModel, shape: [usize; 4]) -> TractResult<Arc<TypedSimplePlan>> {
    model.with_input_fact(0, f32::fact(shape).into())?.into_optimized()?.into_runnable()
}
