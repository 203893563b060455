//! A network as a tract plan: numbers in, numbers out.
//!
//! Nothing here has proved itself; [`crate::Model`] adds preprocessing, golden vectors and the decision. Tools use this to
//! compare a model with other runtimes.

use std::sync::Arc;

use tract_onnx::prelude::*;

/// Why a network cannot be loaded or executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// tract refused or failed.
    #[error("tract: {reason}")]
    Tract {
        /// What it said.
        reason: String,
    },
    /// Another shape than the caller was told.
    #[error("the network should have one output of {expected} values, found {found}")]
    Output {
        /// Values expected.
        expected: usize,
        /// What was found.
        found: String,
    },
}

impl NetworkError {
    fn of(error: &TractError) -> Self {
        Self::Tract { reason: format!("{error:#}") }
    }
}

/// A network for one image at a time.
#[derive(Clone, Debug)]
pub struct Network {
    plan: Arc<TypedSimplePlan>,
    shape: [usize; 4],
    n_outputs: usize,
}

impl Network {
    /// Load an ONNX file's bytes for inputs of `shape`, `[channel, height, width]`, and `n_outputs` values out.
    ///
    /// # Errors
    /// If tract refuses it, or it has another number of outputs.
    pub fn load(onnx: &[u8], shape: [usize; 3], n_outputs: usize) -> Result<Self, NetworkError> {
        let shape = [1, shape[0], shape[1], shape[2]];
        let plan = plan(onnx, shape).map_err(|error| NetworkError::of(&error))?;
        match plan.model().outputs.len() {
            1 => Ok(Self { plan, shape, n_outputs }),
            found => Err(NetworkError::Output { expected: n_outputs, found: format!("{found} outputs") }),
        }
    }

    /// The output for a prepared input, `[channel, height, width]`.
    ///
    /// # Errors
    /// If tract fails or the output has another size than promised.
    ///
    /// # Panics
    /// If `prepared` has another length than the input.
    pub fn run(&self, prepared: &[f32]) -> Result<Vec<f32>, NetworkError> {
        let length: usize = self.shape.iter().product();
        assert_eq!(prepared.len(), length, "a prepared input of shape {:?}", self.shape);
        let outputs = self.execute(prepared).map_err(|error| NetworkError::of(&error))?;
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

fn plan(onnx: &[u8], shape: [usize; 4]) -> TractResult<Arc<TypedSimplePlan>> {
    let mut bytes = onnx;
    tract_onnx::onnx()
        .model_for_read(&mut bytes)?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_optimized()?
        .into_runnable()
}
