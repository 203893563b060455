//! What a processor does, step by step: packed layers in the order in which they run.

use std::ops::Range;

use remedis_kernels::{
    Add, AveragePool, Constants, Conv, Depthwise, Dequantise, Family, Linear, MaxPool, Quantise, Shape,
};
use serde::{Deserialize, Serialize};

/// A network for one family of processors. Its layers name their weights by place among [`Constants`].
///
/// Links are numbered through all chains. A chain runs in tiles of rows: what its links hand each other stays in rings of a few rows,
/// near the processor; only the last link's result is kept whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Whose instructions the weights are packed for.
    pub family: Family,
    /// What it reads, `[1, channel, height, width]`.
    pub inputs: Vec<Input>,
    /// In the order in which they run.
    pub chains: Vec<Vec<Link>>,
    /// What it gives back.
    pub outputs: Vec<Output>,
}

/// A real picture that a program reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The model's name for it.
    pub name: String,
    /// Its size.
    pub shape: Shape,
}

/// Real numbers that a program gives back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The model's name for it.
    pub name: String,
    /// `[channel, height, width]`; a vector has one pixel.
    pub shape: Shape,
}

/// One layer and its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The model's name for it.
    pub name: String,
    /// What is computed.
    pub operation: Operation,
    /// The stored value of a real zero in the result; margins hold it.
    pub zero: i8,
}

/// A packed layer and what it reads: numbers of links, inputs or outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// An input becomes stored values.
    Quantise {
        /// Which input.
        input: u32,
        /// How.
        layer: Quantise,
    },
    /// Dense convolution.
    Conv {
        /// Which link's result.
        from: u32,
        /// How.
        layer: Conv,
    },
    /// Depthwise convolution.
    Depthwise {
        /// Which link's result.
        from: u32,
        /// How.
        layer: Depthwise,
    },
    /// Sum of two.
    Add {
        /// Which links' results.
        from: [u32; 2],
        /// How.
        layer: Add,
    },
    /// Largest under a window.
    MaxPool {
        /// Which link's result.
        from: u32,
        /// How.
        layer: MaxPool,
    },
    /// Mean of all pixels.
    AveragePool {
        /// Which link's result.
        from: u32,
        /// How.
        layer: AveragePool,
    },
    /// Last layer, straight to an output.
    Linear {
        /// Which link's result.
        from: u32,
        /// How.
        layer: Linear,
        /// Which output.
        output: u32,
    },
    /// Stored values become an output.
    Dequantise {
        /// Which link's result.
        from: u32,
        /// How.
        layer: Dequantise,
        /// Which output.
        output: u32,
    },
}

/// What a link gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gives {
    /// A picture of stored values.
    Picture(Shape),
    /// An output.
    Output(u32, Shape),
}

impl Operation {
    /// The links that it reads.
    pub fn from(&self) -> impl Iterator<Item = usize> + use<> {
        let [first, second] = match *self {
            Self::Quantise { .. } => [None, None],
            Self::Conv { from, .. }
            | Self::Depthwise { from, .. }
            | Self::MaxPool { from, .. }
            | Self::AveragePool { from, .. }
            | Self::Linear { from, .. }
            | Self::Dequantise { from, .. } => [Some(from), None],
            Self::Add { from: [a, b], .. } => [Some(a), Some(b)],
        };
        first.into_iter().chain(second).map(|link| link as usize)
    }

    pub(crate) fn sources_mut(&mut self) -> [Option<&mut u32>; 2] {
        match self {
            Self::Quantise { .. } => [None, None],
            Self::Conv { from, .. }
            | Self::Depthwise { from, .. }
            | Self::MaxPool { from, .. }
            | Self::AveragePool { from, .. }
            | Self::Linear { from, .. }
            | Self::Dequantise { from, .. } => [Some(from), None],
            Self::Add { from: [a, b], .. } => [Some(a), Some(b)],
        }
    }

    /// Whether some rows of the result need only some rows of what it reads, so that it can stand in a chain.
    #[must_use]
    pub fn works_by_rows(&self) -> bool {
        !matches!(self, Self::AveragePool { .. } | Self::Linear { .. } | Self::Dequantise { .. })
    }

    /// Rows of its source that `rows` of the result need, margins among them.
    pub(crate) fn reads(&self, rows: &Range<usize>) -> Range<isize> {
        match self {
            Self::Conv { layer, .. } => layer.reads(rows),
            Self::Depthwise { layer, .. } => layer.window().reads(rows),
            Self::MaxPool { layer, .. } => layer.window.reads(rows),
            _ => rows.start as isize..rows.end as isize,
        }
    }

    /// The margin that it needs around a source of `shape`.
    pub(crate) fn margin(&self, shape: Shape) -> usize {
        match self {
            Self::Conv { layer, .. } => layer.margin(shape),
            Self::Depthwise { layer, .. } => layer.window().margin(shape),
            Self::MaxPool { layer, .. } => layer.window.margin(shape),
            _ => 0,
        }
    }

    /// Rows that it computes together: chains and workers begin at multiples of it.
    pub(crate) fn rows_together(&self) -> usize {
        match self {
            Self::Conv { layer, .. } => layer.rows_together(),
            _ => 1,
        }
    }

    /// Bytes of scratch for a source of `shape`.
    pub(crate) fn scratch(&self, shape: Shape) -> usize {
        match self {
            Self::Quantise { layer, .. } => layer.scratch(shape.width),
            Self::Conv { layer, .. } => layer.scratch(),
            Self::AveragePool { layer, .. } => layer.scratch(shape.channels),
            Self::Linear { layer, .. } => layer.scratch(),
            _ => 0,
        }
    }

    /// What it gives for sources of `shapes`, in a program of `family`; `None` where they do not fit it, or its constants are not there.
    pub(crate) fn result(&self, shapes: &[Shape], family: Family, constants: &Constants) -> Option<Gives> {
        let picture = |shape: Shape| Some(Gives::Picture(shape));
        match (self, shapes) {
            (Self::Quantise { layer, .. }, [shape]) => {
                let is_scale = layer.scale > 0.0 && layer.scale.is_finite();
                picture(*shape).filter(|_| is_scale && layer.limits.is_range())
            }
            (Self::Conv { layer, .. }, [shape]) => {
                picture(layer.output(*shape)?).filter(|_| layer.fits(family, constants))
            }
            (Self::Depthwise { layer, .. }, [shape]) => {
                picture(layer.output(*shape)?).filter(|_| layer.fits(family, constants))
            }
            (Self::Add { layer, .. }, [a, b]) => picture(*a).filter(|_| a == b && layer.check().is_ok()),
            (Self::MaxPool { layer, .. }, [shape]) => picture(layer.output(*shape)?),
            (Self::AveragePool { layer, .. }, [shape]) => {
                layer.check(*shape).ok()?;
                picture(Shape { height: 1, width: 1, channels: shape.channels })
            }
            (Self::Linear { layer, output, .. }, [shape]) => {
                let fits = *shape == Shape { height: 1, width: 1, channels: layer.channels() }
                    && layer.fits(family, constants);
                let shape = Shape { height: 1, width: 1, channels: layer.outputs() };
                fits.then_some(Gives::Output(*output, shape))
            }
            (Self::Dequantise { output, .. }, [shape]) => Some(Gives::Output(*output, *shape)),
            _ => None,
        }
    }

    /// Multiplications for a source of `shape`.
    #[must_use]
    pub fn n_multiplications(&self, result: Shape) -> u64 {
        let a_pixel = match self {
            Self::Conv { layer, .. } => layer.n_multiplications(),
            Self::Depthwise { layer, .. } => layer.n_multiplications(),
            Self::Linear { layer, .. } => layer.channels() * layer.outputs(),
            _ => 0,
        };
        (a_pixel * result.height * result.width) as u64
    }

    /// What people call the kernel.
    #[must_use]
    pub fn kernel(&self) -> String {
        let window = |window: &remedis_kernels::Window| {
            let [rows, columns] = window.kernel;
            format!("{rows}x{columns}/{}", window.stride[0])
        };
        match self {
            Self::Quantise { .. } => "quantise".to_owned(),
            Self::Conv { layer, .. } => layer.kernel(),
            Self::Depthwise { layer, .. } => format!("depthwise {}", window(layer.window())),
            Self::Add { .. } => "add".to_owned(),
            Self::MaxPool { layer, .. } => format!("max pool {}", window(&layer.window)),
            Self::AveragePool { .. } => "global average".to_owned(),
            Self::Linear { .. } => "linear".to_owned(),
            Self::Dequantise { .. } => "dequantise".to_owned(),
        }
    }
}
