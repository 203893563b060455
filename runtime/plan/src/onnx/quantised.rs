//! What QuantizeLinear and DequantizeLinear say: scales and zero points of values, integer weights, biases.

use super::file::{File, Node};
use super::tensor::Tensor;
use crate::graph::Affine;

/// Whether `node` is a QuantizeLinear.
pub(super) fn is_quantise(node: &Node) -> bool {
    node.op() == "QuantizeLinear"
}

/// Whether `node` is a DequantizeLinear.
pub(super) fn is_dequantise(node: &Node) -> bool {
    node.op() == "DequantizeLinear"
}

impl Affine {
    /// `clamp(round_half_even(real / scale) + zero_point)`, as QuantizeLinear has it.
    pub(super) fn store(self, real: f32) -> i8 {
        let steps = (real / self.scale).round_ties_even() + f32::from(self.zero_point);
        steps.clamp(-128.0, 127.0) as i8
    }
}

/// How a QuantizeLinear stores a whole value, or a DequantizeLinear reads one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PerTensor {
    affine: Affine,
    /// `None` where the zero point is left out, with a zero point as if unsigned.
    is_signed: Option<bool>,
}

/// How a QuantizeLinear stores a value that DequantizeLinears, and nothing else, read in the same way.
pub(super) fn stored_as(file: &File, node: &Node) -> Result<Affine, String> {
    let stored = per_tensor(file, node)?;
    let value = node.output().ok_or("it has no result")?;
    let readers = &file.values[value].readers;
    if file.values[value].is_output {
        return Err("its 8-bit result leaves the model".into());
    }
    if readers.is_empty() {
        return Err("nothing reads its result".into());
    }
    for reader in readers.iter().map(|reader| &file.nodes[*reader]) {
        if !is_dequantise(reader) || reader.reads().filter(|read| *read == value).count() != 1 {
            return Err(format!("{} {} reads its 8-bit result", reader.proto.op_type, reader.name()));
        }
        if reader.input(0) != Some(value) || !is_read_as(per_tensor(file, reader)?, stored) {
            return Err(format!("{} reads its result with another scale or zero point", reader.name()));
        }
    }
    Ok(stored.affine)
}

/// Whether what is stored as `written` is read so. A zero point left out is 0 of whatever type is read.
fn is_read_as(read: PerTensor, written: PerTensor) -> bool {
    let zero_point = match (read.is_signed, written.is_signed) {
        (None, Some(true)) => 0,
        (Some(signed), Some(expected)) if signed != expected => return false,
        _ => read.affine.zero_point,
    };
    Affine { zero_point, ..read.affine } == written.affine
}

fn per_tensor(file: &File, node: &Node) -> Result<PerTensor, String> {
    node.expect(&[("block_size", 0)], 0)?;
    let [scale] = scales(file, node)?[..] else { return Err("it has a scale for each channel".into()) };
    if node.input(2).is_none() {
        // Bytes are unsigned unless since opset 21 something else is asked for.
        let is_signed = match node.integer("output_dtype", 0) {
            _ if is_dequantise(node) => None,
            0 => Some(false),
            kind if kind == i64::from(remedis_onnx::UINT8) => Some(false),
            kind if kind == i64::from(remedis_onnx::INT8) => Some(true),
            _ => return Err("it stores other than 8 bits".into()),
        };
        let zero_point = if is_signed == Some(true) { 0 } else { i8::MIN };
        return Ok(PerTensor { affine: Affine { scale, zero_point }, is_signed });
    }
    let zero_points = file.constant_input(node, 2).ok_or("its zero point is not in the file")?;
    let zero_points = zero_points.bytes().ok_or("it stores other than 8 bits")?;
    let [zero_point] = zero_points.values[..] else { return Err("it has a zero point for each channel".into()) };
    Ok(PerTensor { affine: Affine { scale, zero_point }, is_signed: Some(zero_points.is_signed) })
}

/// The scales of a QuantizeLinear or DequantizeLinear, all usable.
fn scales(file: &File, node: &Node) -> Result<Vec<f32>, String> {
    let scales = file.constant_input(node, 1).and_then(Tensor::floats).ok_or("its scale is not in the file")?;
    match scales.iter().find(|scale| !(scale.is_normal() && **scale > 0.0)) {
        Some(scale) => Err(format!("its scale is {scale}, expected above 0")),
        None => Ok(scales),
    }
}

/// The constant behind a DequantizeLinear, and that node.
fn dequantised(file: &File, value: usize) -> Option<(&Node, usize)> {
    let node = &file.nodes[file.maker(value)?];
    Some((node, node.input(0)?)).filter(|(node, _)| is_dequantise(node))
}

/// Integer weights as the file has them.
pub(super) struct Filters {
    pub(super) dims: Vec<usize>,
    /// From -127 to 127.
    pub(super) values: Vec<i8>,
    /// One for each place on the axis of output channels.
    pub(super) scales: Vec<f32>,
}

/// Weights behind a DequantizeLinear, with output channels on `axis`.
pub(super) fn filters(file: &File, value: usize, axis: usize) -> Result<Filters, String> {
    let (node, from) = dequantised(file, value).ok_or("its weights are not stored in 8 bits")?;
    let mistake = |reason: String| format!("its weights: {reason}");
    node.expect(&[("block_size", 0)], 0).map_err(mistake)?;
    let mut scales = scales(file, node).map_err(mistake)?;
    let (dims, values, is_signed) = stored_weights(file, node, from)?;
    let outputs = *dims.get(axis).ok_or_else(|| format!("its weights have {} axes", dims.len()))?;
    if values.is_empty() {
        return Err("it has no weights".into());
    }
    if let Some(tensor) = file.constant_input(node, 2) {
        let zero_points = tensor.bytes().ok_or("its weights are not stored in 8 bits")?;
        if zero_points.is_signed != is_signed || zero_points.values.iter().any(|zero_point| *zero_point != 0) {
            return Err("the zero points of its weights are not 0, or 128 where they are unsigned".into());
        }
    } else if node.input(2).is_some() || !is_signed {
        return Err("its weights have no zero point in the file, expected 0, or 128 where they are unsigned".into());
    }
    if scales.len() == 1 {
        scales = vec![scales[0]; outputs];
    } else if !is_along(node, axis, dims.len()) {
        return Err(format!("the scales of its weights are not along axis {axis}"));
    } else if scales.len() != outputs {
        return Err(format!("its weights have {} scales for {outputs} output channels", scales.len()));
    }
    if values.contains(&i8::MIN) {
        return Err("a weight is -128, expected -127 to 127".into());
    }
    Ok(Filters { dims, values, scales })
}

/// Weights that are 8 bits in the file, or floats behind a QuantizeLinear.
fn stored_weights(file: &File, reads: &Node, from: usize) -> Result<(Vec<usize>, Vec<i8>, bool), String> {
    if let Some(tensor) = file.constant(from) {
        let bytes = tensor.bytes().ok_or("its weights are not stored in 8 bits")?;
        return Ok((tensor.dims.clone(), bytes.values, bytes.is_signed));
    }
    let node = file.maker(from).map(|maker| &file.nodes[maker]).filter(|node| is_quantise(node));
    let node = node.ok_or("its weights are not in the file")?;
    let tensor = file.constant_input(node, 0).ok_or("its weights are not in the file")?;
    let (Some(reals), Some(zero_points)) = (tensor.floats(), file.constant_input(node, 2).and_then(Tensor::bytes))
    else {
        return Err("its weights are not stored in 8 bits".into());
    };
    if reads.inputs[1..] != node.inputs[1..] || reads.integer("axis", 1) != node.integer("axis", 1) {
        return Err("its weights are read with another scale than they are stored with".into());
    }
    let scales = scales(file, node)?;
    let axis = usize::try_from(node.integer("axis", 1)).unwrap_or(usize::MAX);
    let inner: usize = tensor.dims.iter().skip(axis.saturating_add(1)).product();
    if scales.len() > 1 && tensor.dims.get(axis) != Some(&scales.len()) {
        return Err(format!("its weights have {} scales, their dimensions are {:?}", scales.len(), tensor.dims));
    }
    let scale = |position: usize| scales[position / inner.max(1) % scales.len()];
    let store = |(position, real): (usize, &f32)| Affine { scale: scale(position), zero_point: 0 }.store(*real);
    let values = reals.iter().enumerate().map(store).collect();
    Ok((tensor.dims.clone(), values, zero_points.is_signed))
}

fn is_along(node: &Node, axis: usize, rank: usize) -> bool {
    let found = node.integer("axis", 1);
    found == axis as i64 || found == axis as i64 - rank as i64
}

/// A bias in steps of `input_scale * scales[c]`: taken as it is where the file has such steps, rounded to them otherwise.
pub(super) fn bias(file: &File, value: usize, input_scale: f32, scales: &[f32]) -> Result<Vec<i32>, String> {
    let steps = scales.iter().map(|scale| f64::from(input_scale) * f64::from(*scale));
    if let Some(tensor) = file.constant(value)
        && let Some(reals) = tensor.floats()
    {
        expect_row(tensor, scales.len())?;
        return reals.iter().zip(steps).map(|(real, step)| rounded(f64::from(*real) / step)).collect();
    }
    let stored = dequantised(file, value).and_then(|(node, from)| Some((node, file.constant(from)?)));
    let stored = stored.and_then(|(node, tensor)| Some((node, tensor, tensor.words()?)));
    let (node, tensor, words) = stored.ok_or("its bias is neither 32-bit integers nor floats in the file")?;
    expect_row(tensor, scales.len())?;
    if node.input(2).is_some() {
        let zero_points = file.constant_input(node, 2).and_then(Tensor::words);
        if zero_points.is_none_or(|zero_points| zero_points.iter().any(|zero_point| *zero_point != 0)) {
            return Err("the zero point of its bias is not 0".into());
        }
    }
    let found = self::scales(file, node).map_err(|reason| format!("its bias: {reason}"))?;
    if found.len() != 1 && (found.len() != words.len() || !is_along(node, 0, 1)) {
        return Err(format!("its bias has {} scales for {} values", found.len(), words.len()));
    }
    let found = found.iter().cycle();
    let restep = |((word, step), found): ((&i32, f64), &f32)| {
        let ratio = f64::from(*found) / step;
        if (ratio - 1.0).abs() <= 1e-5 { Ok(*word) } else { rounded(f64::from(*word) * ratio) }
    };
    words.iter().zip(steps).zip(found).map(restep).collect()
}

/// Refuses a bias that is not `[out]` or `[1, out]`.
fn expect_row(bias: &Tensor, outputs: usize) -> Result<(), String> {
    match bias.dims[..] {
        [found] | [1, found] if found == outputs => Ok(()),
        _ => Err(format!("its bias has dimensions {:?} for {outputs} output channels", bias.dims)),
    }
}

fn rounded(steps: f64) -> Result<i32, String> {
    let steps = steps.round_ties_even();
    if steps.abs() <= f64::from(i32::MAX) {
        Ok(steps as i32)
    } else {
        Err(format!("its bias of {steps} steps is too large"))
    }
}
