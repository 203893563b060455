//! A network ready to run: numbers in, numbers out.
//!
//! A quantised model whose every node has an integer kernel runs as a [`Plan`]. If only some have one, those do, and tract runs the
//! rest in float; a model of floats is tract's alone, in half precision where its weights are and the processor computes in it. [`Network::engine`] says which. Nothing here has proved itself; [`crate::Model`] adds preprocessing, golden vectors and the
//! decision. Tools use this to compare a model with other runtimes.

mod float;
mod integers;
mod mixed;

use std::sync::Arc;

use remedis_plan::onnx::{self, ReadError};
use remedis_plan::{LowerError, Plan, Shape};

pub use float::Arithmetic;
use float::Float;
use integers::Integers;

/// Why a network cannot be loaded or executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The file is no model.
    #[error("the model cannot be read")]
    Read(#[source] Box<ReadError>),
    /// The integer model's layers do not fit each other.
    #[error("the integer model cannot be planned")]
    Plan(#[source] Box<LowerError>),
    /// tract refused or failed.
    #[error("tract: {reason}")]
    Tract {
        /// What it said.
        reason: String,
    },
    /// Another input than the caller was told.
    #[error("the network should read one input of {expected:?}, found {found}")]
    Input {
        /// `[channel, height, width]`.
        expected: [usize; 3],
        /// What was found.
        found: String,
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

impl From<ReadError> for NetworkError {
    fn from(error: ReadError) -> Self {
        Self::Read(Box::new(error))
    }
}

impl From<LowerError> for NetworkError {
    fn from(error: LowerError) -> Self {
        Self::Plan(Box::new(error))
    }
}

/// A network for one image at a time; several threads may run it at once.
#[derive(Clone, Debug)]
pub struct Network {
    form: Form,
    /// `[channel, height, width]`.
    shape: [usize; 3],
}

#[derive(Clone, Debug)]
enum Form {
    Integer(Arc<Integers>),
    Mixed(Float),
    Float(Float),
}

impl Network {
    /// Load an ONNX file's bytes for inputs of `shape`, `[channel, height, width]`, and `n_outputs` values out: in integers what can be,
    /// in float the rest.
    ///
    /// # Errors
    /// If the model cannot be read, or it has another number of outputs.
    pub fn load(onnx: &[u8], shape: [usize; 3], n_outputs: usize) -> Result<Self, NetworkError> {
        let reading = onnx::read(onnx)?;
        if let Some(graph) = reading.whole() {
            return Self::of_plan(Plan::compile_here(graph, &[pixels(shape)])?, shape, n_outputs);
        }
        if mixed::is_possible(&reading) {
            let form = Form::Mixed(Float::load(|| mixed::parse(onnx, reading), Arithmetic::Single, shape, n_outputs)?);
            return Ok(Self { form, shape });
        }
        Self::load_float(onnx, Arithmetic::of(onnx), shape, n_outputs)
    }

    /// The plan, for this processor, of an ONNX file's bytes for inputs of `shape`; `None` if not every node has an integer kernel.
    ///
    /// # Errors
    /// If the model cannot be read, or its layers do not fit the input.
    pub fn plan(onnx: &[u8], shape: [usize; 3]) -> Result<Option<Plan>, NetworkError> {
        let reading = onnx::read(onnx)?;
        Ok(reading.whole().map(|graph| Plan::compile_here(graph, &[pixels(shape)])).transpose()?)
    }

    /// A network of a plan.
    ///
    /// # Errors
    /// If it has other inputs or outputs.
    pub fn of_plan(plan: Plan, shape: [usize; 3], n_outputs: usize) -> Result<Self, NetworkError> {
        let program = plan.program();
        if program.inputs.len() != 1 || program.inputs[0].shape != pixels(shape) {
            return Err(NetworkError::Input { expected: shape, found: format!("{:?}", program.inputs) });
        }
        let volumes: Vec<usize> = program.outputs.iter().map(|output| output.shape.volume()).collect();
        if volumes != [n_outputs] {
            return Err(NetworkError::Output { expected: n_outputs, found: format!("outputs of {volumes:?} values") });
        }
        let form = Form::Integer(Arc::new(Integers::new(plan)));
        Ok(Self { form, shape })
    }

    /// As [`Network::load`], in float whatever the model is.
    ///
    /// # Errors
    /// If tract refuses it, or it has another number of outputs.
    pub fn load_float(
        onnx: &[u8],
        arithmetic: Arithmetic,
        shape: [usize; 3],
        n_outputs: usize,
    ) -> Result<Self, NetworkError> {
        let form = Form::Float(Float::load(|| float::parse(onnx), arithmetic, shape, n_outputs)?);
        Ok(Self { form, shape })
    }

    /// What runs it, in words.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match &self.form {
            Form::Integer(integers) => integers.plan.program().family.name(),
            Form::Mixed(_) => "integers, and float between them (tract)",
            Form::Float(float) if float.arithmetic() == Arithmetic::Half => "float, in half precision (tract)",
            Form::Float(_) => "float (tract)",
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
        match &self.form {
            Form::Integer(integers) => Ok(integers.run(&[prepared]).swap_remove(0)),
            Form::Mixed(float) | Form::Float(float) => float.run(prepared),
        }
    }
}

fn pixels([channels, height, width]: [usize; 3]) -> Shape {
    Shape { height, width, channels }
}
