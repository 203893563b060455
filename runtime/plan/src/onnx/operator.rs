//! Operators one at a time: what their attributes ask for, if that is something we compute.

use remedis_kernels::{Shape, Window};

use super::file::{File, Node};
use crate::graph::Affine;

/// Windows are small; sums of such sizes cannot overflow.
const LARGEST_SIZE: i64 = 1 << 12;

impl Node {
    /// An integer attribute.
    pub(super) fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(default)
    }

    /// A list attribute.
    pub(super) fn integers(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// Refuses integer attributes that are not what they have to be.
    pub(super) fn expect(&self, attributes: &[(&str, i64)], default: i64) -> Result<(), String> {
        match attributes.iter().find(|(name, expected)| self.integer(name, default) != *expected) {
            Some((name, expected)) => Err(format!("{name} is {}, expected {expected}", self.integer(name, default))),
            None => Ok(()),
        }
    }
}

/// The window of a convolution or a pool; `weights` are rows and columns of the weights, if there are any.
pub(super) fn window(node: &Node, weights: Option<[usize; 2]>) -> Result<Window, String> {
    let named = node.integers("kernel_shape").map(|sizes| sizes_of("kernel_shape", sizes, 1)).transpose()?;
    let kernel = match (named, weights) {
        (Some(named), Some(weights)) if named != weights => {
            return Err(format!("kernel_shape is {named:?}, the weights have {weights:?}"));
        }
        (Some(kernel), _) | (None, Some(kernel)) => kernel,
        (None, None) => return Err("it has no kernel_shape".into()),
    };
    if kernel.iter().any(|size| *size as u64 > LARGEST_SIZE as u64) {
        return Err(format!("its window of {kernel:?} is too large"));
    }
    if let Some(padding) = node.attribute("auto_pad").and_then(|attribute| attribute.s.as_ref())
        && !matches!(&padding[..], b"NOTSET" | b"")
    {
        return Err(format!("auto_pad is {}, expected pads", String::from_utf8_lossy(padding)));
    }
    if node.integers("dilations").is_some_and(|sizes| sizes.iter().any(|size| *size != 1)) {
        return Err("its window is dilated".into());
    }
    let stride = sizes_of("strides", node.integers("strides").unwrap_or(&[1, 1]), 1)?;
    let [top, left, bottom, right] = sizes_of("pads", node.integers("pads").unwrap_or(&[0; 4]), 0)?;
    Ok(Window { kernel, stride, before: [top, left], after: [bottom, right] })
}

fn sizes_of<const N: usize>(name: &str, sizes: &[i64], least: i64) -> Result<[usize; N], String> {
    let wrong = || format!("{name} is {sizes:?}, expected {N} sizes from {least} to {LARGEST_SIZE}");
    let is_usable = |sizes: &[i64; N]| sizes.iter().all(|size| (least..=LARGEST_SIZE).contains(size));
    sizes.as_array().filter(|sizes| is_usable(sizes)).map(|sizes| sizes.map(|size| size as usize)).ok_or_else(wrong)
}

/// Refuses a mean that is not over all pixels; says whether the result is flat.
pub(super) fn mean_over_pixels(file: &File, node: &Node) -> Result<bool, String> {
    if node.op() == "GlobalAveragePool" {
        return Ok(false);
    }
    match axes(file, node)? {
        Some(axes) if is_pixels(&axes) => Ok(node.integer("keepdims", 1) == 0),
        axes => Err(format!("its axes are {axes:?}, expected rows and columns, [2, 3]")),
    }
}

/// `axes`, as an attribute or, since opset 13 or 18, as an input.
fn axes(file: &File, node: &Node) -> Result<Option<Vec<i64>>, String> {
    if let Some(axes) = node.integers("axes") {
        return Ok(Some(axes.to_vec()));
    }
    let Some(value) = node.input(1) else { return Ok(None) };
    let axes = file.constant(value).and_then(|tensor| tensor.longs());
    axes.map(Some).ok_or_else(|| "its axes are not in the file".into())
}

fn is_pixels(axes: &[i64]) -> bool {
    matches!(axes, [2 | -2, 3 | -1] | [3 | -1, 2 | -2])
}

/// Handing a value on, in the same order, maybe as one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reshape {
    /// Whether the result is `[1, n]`.
    pub(super) is_flat: bool,
    /// The `n` that the file names.
    volume: Option<usize>,
    /// Whether only the shape tells if the result is one row.
    needs_shape: bool,
    /// Whether it takes away the axes of pixels, of which there must be one.
    needs_pixel: bool,
}

impl Reshape {
    /// Of a node that may do nothing else; `None` for other operators.
    pub(super) fn of(file: &File, node: &Node) -> Option<Result<Self, String>> {
        let same = Self { is_flat: false, volume: None, needs_shape: false, needs_pixel: false };
        let flat = Self { is_flat: true, ..same };
        Some(match node.op() {
            "Identity" => Ok(same),
            "Flatten" => node.expect(&[("axis", 1)], 1).map(|()| flat),
            "Squeeze" => match axes(file, node) {
                Ok(Some(axes)) if is_pixels(&axes) => Ok(Self { needs_pixel: true, ..flat }),
                Ok(axes) => Err(format!("its axes are {axes:?}, expected [2, 3]")),
                Err(reason) => Err(reason),
            },
            "Reshape" => {
                let target = file.constant_input(node, 1).and_then(|tensor| tensor.longs());
                let keeps_zeros = node.integer("allowzero", 0) != 0;
                let size = |size: i64| usize::try_from(size).ok().filter(|size| *size > 0);
                match target.as_deref() {
                    Some([1, -1] | [-1]) => Ok(flat),
                    Some([0, -1]) if !keeps_zeros => Ok(flat),
                    Some([1, n] | [n]) if *n > 0 => Ok(Self { volume: size(*n), ..flat }),
                    Some([0, n]) if *n > 0 && !keeps_zeros => Ok(Self { volume: size(*n), ..flat }),
                    Some([-1, n]) if *n > 0 => Ok(Self { volume: size(*n), needs_shape: true, ..flat }),
                    Some(target) => Err(format!("its shape is {target:?}, expected [1, -1]")),
                    None => Err("its shape is not in the file".into()),
                }
            }
            _ => return None,
        })
    }

    /// Refuses a value of a shape that this does not hand on as it is.
    pub(super) fn check(&self, shape: Option<Shape>) -> Result<(), String> {
        let Some(shape) = shape else {
            return if self.needs_shape { Err("the shape of what it reads is unknown".into()) } else { Ok(()) };
        };
        if self.volume.is_some_and(|volume| volume != shape.volume()) {
            return Err(format!("it makes {} values from {}", self.volume.unwrap_or(0), shape.volume()));
        }
        if self.needs_pixel && [shape.height, shape.width] != [1, 1] {
            return Err(format!("it takes away {} x {} pixels", shape.height, shape.width));
        }
        Ok(())
    }
}

/// Real bounds of a Relu or Clip; `None` for other operators.
pub(super) fn bounds(file: &File, node: &Node) -> Option<Result<[f32; 2], String>> {
    let bound = |position: usize, name: &str, default: f32| -> Result<f32, String> {
        let real = match (node.attribute(name).and_then(|attribute| attribute.f), node.input(position)) {
            (Some(real), _) => real,
            (None, None) => default,
            (None, Some(value)) => match file.constant(value).and_then(|tensor| tensor.floats()).as_deref() {
                Some([real]) => *real,
                _ => return Err(format!("its {name} is no number in the file")),
            },
        };
        if real.is_nan() { Err(format!("its {name} is not a number")) } else { Ok(real) }
    };
    match node.op() {
        "Relu" => Some(Ok([0.0, f32::INFINITY])),
        "Clip" => Some(bound(1, "min", f32::NEG_INFINITY).and_then(|low| Ok([low, bound(2, "max", f32::INFINITY)?]))),
        _ => None,
    }
}

/// Moves stored bounds as a Relu or Clip before storing moves real ones. Exact, because storing never changes the order.
pub(super) fn clamp([low, high]: [i8; 2], to: Affine, [least, most]: [f32; 2]) -> [i8; 2] {
    let (least, most) = (to.store(least), to.store(most));
    [low, high].map(|end| end.max(least).min(most))
}
