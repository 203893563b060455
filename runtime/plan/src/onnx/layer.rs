//! Layers: an operation between stored values, checked as far as the file tells.

use remedis_kernels::{Shape, Window};

use super::chain::{Chain, product_and_bias};
use super::file::{File, LARGEST_VOLUME, Node};
use super::fuse::{Held, Part};
use super::operator::{mean_over_pixels, window};
use super::quantised::{Filters, bias, filters};
use crate::graph::{Affine, Op, Stored, Weights};

/// What a layer becomes.
pub(super) struct Layer {
    pub(super) op: Op,
    pub(super) result: Stored,
    pub(super) shape: Option<Shape>,
    pub(super) is_flat: Option<bool>,
    /// The value of a real result, and the node that adds its bias.
    pub(super) makes: Option<(usize, Option<usize>)>,
}

/// A node that may become a layer.
pub(super) struct Matching<'a> {
    pub(super) file: &'a File,
    pub(super) parts: &'a [Part],
    /// By value: the stored value behind a real one.
    pub(super) held: &'a [Option<Held>],
    pub(super) node: &'a Node,
    /// What stores its result.
    pub(super) chain: Option<&'a Chain>,
}

impl Matching<'_> {
    /// The layer; `None` for other operators; the reason why it stays in float.
    pub(super) fn layer(&self) -> Option<Result<Layer, String>> {
        let layer = match self.node.op() {
            "Conv" => self.convolution(),
            "Gemm" => self.gemm(),
            "MatMul" => self.product(),
            "Add" => self.add(),
            "MaxPool" => self.max_pool(),
            "GlobalAveragePool" | "ReduceMean" => self.average_pool(),
            _ => return None,
        };
        Some(layer.and_then(|layer| self.reshaped(layer)))
    }

    fn convolution(&self) -> Result<Layer, String> {
        let reads = self.picture()?;
        let Filters { dims, values, scales } = filters(self.file, self.weights()?, 0)?;
        let [outputs, inner, rows, columns] = dims[..] else {
            return Err(format!("its weights have {} axes, expected 4", dims.len()));
        };
        let window = window(self.node, Some([rows, columns]))?;
        let groups = self.node.integer("group", 1);
        let is_depthwise = inner == 1 && groups == outputs as i64;
        if groups != 1 && !is_depthwise {
            return Err(format!("it has {groups} groups, expected 1 or one for each channel, in and out"));
        }
        let shape = self.slid(reads.shape, window)?;
        let channels = if groups == 1 { inner } else { outputs };
        if reads.shape.is_some_and(|shape| shape.channels != channels) {
            return Err("its weights are for another number of channels".into());
        }
        let shape = shape.map(|shape| Shape { channels: outputs, ..shape });
        let weights = self.weighted(reads, values, scales, self.node.input(2))?;
        let groups = if groups == 1 { 1 } else { outputs };
        let op = Op::Convolution { input: reads.part, groups, window, weights };
        self.stored(op, shape, Some(false))
    }

    fn gemm(&self) -> Result<Layer, String> {
        self.node.expect(&[("transA", 0)], 0)?;
        for name in ["alpha", "beta"] {
            if self.node.attribute(name).and_then(|attribute| attribute.f).is_some_and(|factor| factor != 1.0) {
                return Err(format!("{name} is not 1"));
            }
        }
        let is_transposed = self.node.integer("transB", 0) != 0;
        self.linear(is_transposed, self.node.input(2), None)
    }

    fn product(&self) -> Result<Layer, String> {
        let only_reader = |value: usize| match self.file.values[value].readers[..] {
            [reader] => Some(reader),
            _ => None,
        };
        // Without a chain the Add, if there is one, makes the real result.
        let adds = self.node.output().and_then(only_reader);
        let added = adds.and_then(|adds| Some((adds, product_and_bias(self.file, &self.file.nodes[adds])?.1)));
        match (self.chain, added) {
            (Some(chain), _) => self.linear(false, chain.bias, None),
            (None, Some((adds, bias))) => self.linear(false, Some(bias), Some(adds)),
            (None, None) => self.linear(false, None, None),
        }
    }

    /// A fully connected layer, with weights `[out, in]` if they are transposed.
    fn linear(&self, is_transposed: bool, bias: Option<usize>, adds: Option<usize>) -> Result<Layer, String> {
        let reads = self.held(0)?;
        if reads.is_flat == Some(false) || (reads.is_flat.is_none() && self.node.op() == "MatMul") {
            return Err("what it reads is not one row of values".into());
        }
        let Filters { dims, values, scales } = filters(self.file, self.weights()?, usize::from(!is_transposed))?;
        let [rows, columns] = dims[..] else {
            return Err(format!("its weights have {} axes, expected 2", dims.len()));
        };
        let (inputs, outputs) = if is_transposed { (columns, rows) } else { (rows, columns) };
        let values = if is_transposed { values } else { transposed(&values, outputs) };
        if let Some(shape) = reads.shape.filter(|shape| shape.volume() != inputs) {
            return Err(format!("its weights are for {inputs} values, it reads {}", shape.volume()));
        }
        let weights = self.weighted(reads, values, scales, bias)?;
        let op = Op::Linear { input: reads.part, weights };
        let shape = Some(Shape { height: 1, width: 1, channels: outputs });
        if self.chain.is_some() {
            return self.stored(op, shape, Some(true));
        }
        let last = adds.map_or(self.node, |adds| &self.file.nodes[adds]);
        let makes = last.output().ok_or("it has no result")?;
        Ok(Layer { op, result: Stored::Real, shape, is_flat: Some(true), makes: Some((makes, adds)) })
    }

    fn add(&self) -> Result<Layer, String> {
        let [a, b] = [self.held(0)?, self.held(1)?];
        if a.shape.zip(b.shape).is_some_and(|(a, b)| a != b) || a.is_flat != b.is_flat {
            return Err("it adds values of two shapes".into());
        }
        let to = self.affine()?;
        for held in [a, b] {
            let multiplier = (f64::from(self.reads_as(held).scale) / f64::from(to.scale)) as f32;
            if !(multiplier > 0.0 && multiplier < 4e6) {
                return Err("the scales that it adds are too far from its result's".into());
            }
        }
        self.stored(Op::Add { a: a.part, b: b.part }, a.shape.or(b.shape), a.is_flat)
    }

    fn max_pool(&self) -> Result<Layer, String> {
        let reads = self.picture()?;
        self.node.expect(&[("ceil_mode", 0), ("storage_order", 0)], 0)?;
        let window = window(self.node, None)?;
        let Window { kernel, before, after, .. } = window;
        if (0..2).any(|axis| before[axis] >= kernel[axis] || after[axis] >= kernel[axis]) {
            return Err("its window fits into the padding".into());
        }
        if self.node.output().is_none() {
            return Err("it says where the largest values are".into());
        }
        let chain = self.chain.ok_or(NOT_STORED)?;
        let Stored::Bytes { affine, low, high } = self.parts[reads.part].result else { return Err(NOT_STORED.into()) };
        if affine != chain.affine {
            return Err("its result is stored with another scale or zero point than what it reads".into());
        }
        if chain.range[0] > low || chain.range[1] < high {
            return Err("its result is clamped".into());
        }
        let shape = self.slid(reads.shape, window)?;
        let result = Stored::Bytes { affine, low: i8::MIN, high: i8::MAX };
        Ok(Layer { op: Op::MaxPool { input: reads.part, window }, result, shape, is_flat: Some(false), makes: None })
    }

    fn average_pool(&self) -> Result<Layer, String> {
        let reads = self.picture()?;
        let is_flat = mean_over_pixels(self.file, self.node)?;
        if let Some(shape) = reads.shape {
            let n_pixels = (shape.height * shape.width) as f64;
            let steps = f64::from(self.reads_as(reads).scale) / (n_pixels * f64::from(self.affine()?.scale));
            let bound = n_pixels * 255.0;
            let largest = f64::from(1 << 30);
            if bound >= 2.0 * largest || (steps as f32) <= 0.0 || steps * bound >= largest {
                return Err("its sums do not fit 32 bits".into());
            }
        }
        let shape = reads.shape.map(|shape| Shape { height: 1, width: 1, ..shape });
        self.stored(Op::GlobalAveragePool { input: reads.part }, shape, Some(is_flat))
    }

    /// The stored value behind one of the node's inputs.
    fn held(&self, position: usize) -> Result<Held, String> {
        let value = self.node.input(position).ok_or("an input is missing")?;
        self.held[value].ok_or_else(|| format!("{} is not stored in 8 bits", self.file.values[value].name))
    }

    /// The same for a picture.
    fn picture(&self) -> Result<Held, String> {
        let held = self.held(0)?;
        if held.is_flat == Some(true) { Err("what it reads is one row of values".into()) } else { Ok(held) }
    }

    fn weights(&self) -> Result<usize, String> {
        self.node.input(1).ok_or_else(|| "it has no weights".into())
    }

    fn affine(&self) -> Result<Affine, String> {
        Ok(self.chain.ok_or(NOT_STORED)?.affine)
    }

    fn reads_as(&self, held: Held) -> Affine {
        match self.parts[held.part].result {
            Stored::Bytes { affine, .. } => affine,
            Stored::Real => Affine { scale: 1.0, zero_point: 0 },
        }
    }

    /// Shape of what a window makes, with the channels that it slides over.
    fn slid(&self, shape: Option<Shape>, window: Window) -> Result<Option<Shape>, String> {
        let Some(shape) = shape else { return Ok(None) };
        let [height, width] = window.places(shape).ok_or("its window is larger than what it reads")?;
        Ok(Some(Shape { height, width, ..shape }))
    }

    /// Weights and bias, if their sums are exact in 32 bits whatever is read.
    fn weighted(
        &self,
        reads: Held,
        values: Vec<i8>,
        scales: Vec<f32>,
        bias_value: Option<usize>,
    ) -> Result<Weights, String> {
        let from = self.reads_as(reads).scale;
        let bias = match bias_value {
            Some(value) => bias(self.file, value, from, &scales)?,
            None => vec![0; scales.len()],
        };
        let to = self.chain.map_or(1.0, |chain| chain.affine.scale);
        let each = values.chunks_exact((values.len() / scales.len().max(1)).max(1)).zip(&bias).zip(&scales);
        for ((filter, bias), scale) in each {
            let size: u64 = filter.iter().map(|weight| u64::from(weight.unsigned_abs())).sum();
            let bound = u64::from(bias.unsigned_abs()).saturating_add(size.saturating_mul(2 * 255));
            let multiplier = (f64::from(from) * f64::from(*scale) / f64::from(to)) as f32;
            let steps = f64::from(multiplier) * bound.max(1) as f64;
            if bound >= 1 << 31 || !(multiplier > 0.0 && steps < f64::from(1 << 30)) {
                return Err("its sums do not fit 32 bits".into());
            }
        }
        Ok(Weights { values, scales, bias })
    }

    /// A layer whose result the chain stores.
    fn stored(&self, op: Op, shape: Option<Shape>, is_flat: Option<bool>) -> Result<Layer, String> {
        let Chain { affine, range: [low, high], .. } = *self.chain.ok_or(NOT_STORED)?;
        Ok(Layer { op, result: Stored::Bytes { affine, low, high }, shape, is_flat, makes: None })
    }

    /// The layer after the chain's reshapes.
    fn reshaped(&self, mut layer: Layer) -> Result<Layer, String> {
        if layer.shape.is_some_and(|shape| shape.checked_volume().is_none_or(|volume| volume >= LARGEST_VOLUME)) {
            return Err("its result is too large".into());
        }
        for reshape in self.chain.iter().flat_map(|chain| chain.reshapes.iter().rev()) {
            reshape.check(layer.shape)?;
            layer.is_flat = if reshape.is_flat { Some(true) } else { layer.is_flat };
        }
        Ok(layer)
    }
}

const NOT_STORED: &str = "its result is not stored in 8 bits, or also read in float";

fn transposed(values: &[i8], columns: usize) -> Vec<i8> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns)).copied().collect()
}
