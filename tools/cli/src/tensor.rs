//! NumPy files in and out.

use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail};
use npyz::WriterBuilder;
use remedis_plan::Shape;

/// Reads float values of `[1, channel, height, width]` or `[channel, height, width]`.
///
/// # Errors
/// If the file is no NumPy file of such values.
pub(crate) fn read(path: &Path) -> Result<(Shape, Vec<f32>)> {
    let describe = || format!("reading {}", path.display());
    let bytes = std::fs::read(path).with_context(describe)?;
    let file = npyz::NpyFile::new(bytes.as_slice()).with_context(describe)?;
    let shape = file.shape().to_vec();
    let is_whole = file.order() == npyz::Order::C;
    let (&[channels, height, width] | &[1, channels, height, width]) = shape.as_slice() else {
        bail!("{} holds values of shape {shape:?}, expected [1, channel, height, width]", path.display());
    };
    let product = shape.iter().try_fold(4_u64, |product, size| product.checked_mul(*size));
    if !is_whole || product.is_none_or(|product| product > bytes.len() as u64) {
        bail!("{} does not hold {shape:?} values in C order: write it again with np.save", path.display());
    }
    let values = file.into_vec::<f32>().with_context(|| format!("{}: expected float32 values", path.display()))?;
    Ok((Shape { height: height as usize, width: width as usize, channels: channels as usize }, values))
}

/// Writes float values.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(path: &Path, shape: &[u64], values: &[f32]) -> Result<()> {
    let describe = || format!("writing {}", path.display());
    let file = BufWriter::new(std::fs::File::create(path).with_context(describe)?);
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd().with_context(describe)?;
    writer.extend(values.iter().copied()).with_context(describe)?;
    writer.finish().with_context(describe)
}
