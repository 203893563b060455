//! A network as a tract plan, in float.

use std::sync::Arc;

use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::floats::FloatPrecisionTranslator;
use tract_onnx::tract_core::transform::ModelTransform as _;

use super::NetworkError;

/// What a network that runs in float computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `f32`.
    Single,
    /// `f16`, sums included: twice as many values at a time where the processor has it, hundreds of times slower where it has not.
    Half,
}

impl Arithmetic {
    /// What a model runs in here: half precision if its file keeps a weight in it and this processor computes in it.
    #[must_use]
    pub fn of(onnx: &[u8]) -> Self {
        let stores_halves = || {
            let model = tract_onnx::onnx().proto_model_for_read(&mut &*onnx).ok();
            let constants = model.and_then(|model| model.graph).map(|graph| graph.initializer).unwrap_or_default();
            constants.iter().any(|constant| constant.data_type == pb::tensor_proto::DataType::Float16 as i32)
        };
        if has_half() && stores_halves() { Self::Half } else { Self::Single }
    }
}

/// Whether this processor computes in half precision (FEAT_FP16: Cortex-A55, A75, A76 and later).
fn has_half() -> bool {
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("fp16");
    #[cfg(not(target_arch = "aarch64"))]
    return false;
}

/// A network in tract.
#[derive(Clone, Debug)]
pub(super) struct Float {
    plan: Arc<TypedSimplePlan>,
    arithmetic: Arithmetic,
    shape: [usize; 4],
    n_outputs: usize,
}

fn failed(error: &TractError) -> NetworkError {
    NetworkError::Tract { reason: format!("{error:#}") }
}

impl Float {
    pub(super) fn load(
        parse: impl FnOnce() -> TractResult<InferenceModel>,
        arithmetic: Arithmetic,
        shape: [usize; 3],
        n_outputs: usize,
    ) -> Result<Self, NetworkError> {
        let shape = [1, shape[0], shape[1], shape[2]];
        let plan = parse().and_then(|model| plan(model, shape, arithmetic)).map_err(|error| failed(&error))?;
        match plan.model().outputs.len() {
            1 => Ok(Self { plan, arithmetic, shape, n_outputs }),
            found => Err(NetworkError::Output { expected: n_outputs, found: format!("{found} outputs") }),
        }
    }

    pub(super) fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    pub(super) fn run(&self, prepared: &[f32]) -> Result<Vec<f32>, NetworkError> {
        let outputs = self.execute(prepared).map_err(|error| failed(&error))?;
        if outputs.len() != self.n_outputs {
            return Err(NetworkError::Output { expected: self.n_outputs, found: format!("{} values", outputs.len()) });
        }
        Ok(outputs)
    }

    fn execute(&self, prepared: &[f32]) -> TractResult<Vec<f32>> {
        let mut input = Tensor::from_shape(&self.shape, prepared)?;
        if self.arithmetic == Arithmetic::Half {
            input = input.cast_to::<f16>()?.into_owned();
        }
        let outputs = self.plan.run(tvec![input.into()])?;
        let output = outputs[0].cast_to::<f32>()?;
        Ok(output.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    }
}

/// The model of a file.
pub(super) fn parse(onnx: &[u8]) -> TractResult<InferenceModel> {
    tract_onnx::onnx().model_for_read(&mut &*onnx)
}

fn plan(model: InferenceModel, shape: [usize; 4], arithmetic: Arithmetic) -> TractResult<Arc<TypedSimplePlan>> {
    let mut model = model.with_input_fact(0, f32::fact(shape).into())?.into_typed()?.into_decluttered()?;
    if arithmetic == Arithmetic::Half {
        FloatPrecisionTranslator::new(f32::datum_type(), f16::datum_type()).transform(&mut model)?;
        model = model.into_decluttered()?;
    }
    model.into_optimized()?.into_runnable()
}
