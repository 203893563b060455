//! From a decoded picture to the numbers a model sees.

use std::borrow::Cow;

use fast_image_resize as fir;
use remedis_bundle::{Channels, Preprocessing, Resize};

use crate::Image;
use crate::samples::{Sample, Samples};

/// Why a picture cannot be brought to a model's input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// A side of the picture is zero.
    #[error("the picture is empty: {width} x {height} pixels")]
    EmptyImage {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A side of the model's input is zero.
    #[error("the model's input is empty: {width} x {height} pixels")]
    EmptyInput {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Mean and standard deviation do not fit the channels.
    #[error(
        "preprocessing has {means} means and {stds} deviations for {channels} channels, or a deviation that is not positive"
    )]
    Normalisation {
        /// Means given.
        means: usize,
        /// Standard deviations given.
        stds: usize,
        /// Channels of the model's input.
        channels: usize,
    },
    /// The resizer refused the geometry.
    #[error("cannot resize {width} x {height} pixels")]
    Resize {
        /// Columns of the picture.
        width: u32,
        /// Rows of the picture.
        height: u32,
        /// What the resizer said.
        source: fir::ResizeError,
    },
}

/// Brings a picture to the depth, the size and the channels of a model's input, still in whole numbers.
///
/// The filter is an antialiased bilinear convolution in whole numbers, so every processor gives the same samples.
/// [`Resize::CentreCrop`] scales the short side and keeps the middle of the long one; [`Resize::Stretch`] ignores the
/// shape. A picture of another depth is turned into this one first, as in [`Image::to_depth`]; [`decode`](crate::decode) at this depth
/// loses less. Then colour becomes grey as in [`Image::to_grey`].
///
/// # Errors
/// If the picture or the input is empty.
///
/// # Panics
/// If the samples do not fit the size of `image`.
pub fn resize(image: &Image, preprocessing: &Preprocessing) -> Result<Image, PrepareError> {
    let wanted = preprocessing;
    image.assert_whole();
    if image.width == 0 || image.height == 0 {
        return Err(PrepareError::EmptyImage { width: image.width, height: image.height });
    }
    if wanted.width == 0 || wanted.height == 0 {
        return Err(PrepareError::EmptyInput { width: wanted.width, height: wanted.height });
    }
    let mut source = image.to_depth(wanted.depth_bits);
    if source.channels == Channels::Rgb && wanted.channels == Channels::Grey {
        source = Cow::Owned(source.to_grey());
    }
    let scaled = if (source.width, source.height) == (wanted.width, wanted.height) {
        source.into_owned()
    } else {
        let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear));
        let options = match wanted.resize {
            Resize::Stretch => options,
            Resize::CentreCrop => options.fit_into_destination(Some((0.5, 0.5))),
        };
        let scaled = scale(&source, [wanted.width, wanted.height], &options, &mut fir::Resizer::new());
        scaled.map_err(|source| PrepareError::Resize { width: image.width, height: image.height, source })?
    };
    Ok(match wanted.channels {
        Channels::Grey => scaled,
        Channels::Rgb => scaled.to_rgb(),
    })
}

/// Which part of a picture of `size`, `[width, height]`, [`resize`] keeps: left, top, width and height as shares of the picture.
#[must_use]
pub fn seen(size: [u32; 2], preprocessing: &Preprocessing) -> [f64; 4] {
    let [width, height] = size;
    let wanted = preprocessing;
    match wanted.resize {
        Resize::Stretch => [0.0, 0.0, 1.0, 1.0],
        Resize::CentreCrop => {
            let part =
                fir::CropBox::fit_src_into_dst_size(width, height, wanted.width, wanted.height, Some((0.5, 0.5)));
            let [width, height] = [width, height].map(|side| f64::from(side.max(1)));
            [part.left / width, part.top / height, part.width / width, part.height / height]
        }
    }
}

/// The picture, or the part of it that `options` name, at `size` `[width, height]`, its channels and depth kept.
///
/// # Errors
/// If the resizer refuses the geometry.
///
/// # Panics
/// If the samples do not fit the size of `image`.
pub fn scale(
    image: &Image,
    size: [u32; 2],
    options: &fir::ResizeOptions,
    resizer: &mut fir::Resizer,
) -> Result<Image, fir::ResizeError> {
    use fir::PixelType::{U8, U8x3, U16, U16x3};
    let of_channels = |[grey, rgb]: [fir::PixelType; 2]| match image.channels {
        Channels::Grey => grey,
        Channels::Rgb => rgb,
    };
    let samples: Samples = match &image.samples {
        Samples::Eight(from) => scaled(image, from, size, of_channels([U8, U8x3]), options, resizer)?.into(),
        Samples::Sixteen(from) => scaled(image, from, size, of_channels([U16, U16x3]), options, resizer)?.into(),
    };
    Ok(Image::new(size[0], size[1], image.channels, samples))
}

/// `from` are the samples of `image`, which are of `pixel_type`.
fn scaled<S: Sample>(
    image: &Image,
    from: &[S],
    [width, height]: [u32; 2],
    pixel_type: fir::PixelType,
    options: &fir::ResizeOptions,
    resizer: &mut fir::Resizer,
) -> Result<Vec<S>, fir::ResizeError> {
    let mut samples = vec![S::zeroed(); width as usize * height as usize * image.channels.count()];
    let from = fir::images::ImageRef::new(image.width, image.height, bytemuck::cast_slice(from), pixel_type)
        .expect("an image holds as many samples as its size says");
    let to = bytemuck::cast_slice_mut(&mut samples);
    let mut to = fir::images::Image::from_slice_u8(width, height, to, pixel_type).expect("made for this size above");
    resizer.resize(&from, &mut to, options)?;
    Ok(samples)
}

/// `(sample / top - mean) / std` for every channel; `top` is 255 or 65,535, by the depth.
///
/// # Shapes
/// - `image`: exactly the size, channels and depth of `preprocessing`
/// - returns: `[channel, height, width]`
///
/// # Panics
/// If the image does not have the geometry of `preprocessing`, or means and deviations do not fit the channels.
pub fn normalise(image: &Image, preprocessing: &Preprocessing) -> Vec<f32> {
    image.assert_whole();
    let channels = image.channels.count();
    let wanted = preprocessing;
    assert_eq!(
        (image.width, image.height, image.channels, image.samples.depth()),
        (wanted.width, wanted.height, wanted.channels, wanted.depth_bits),
        "the image was not resized to the model's input"
    );
    assert_eq!((wanted.mean.len(), wanted.std.len()), (channels, channels), "one mean and std a channel");
    let mut values = Vec::with_capacity(image.samples.len());
    for channel in 0..channels {
        let (mean, std) = (wanted.mean[channel], wanted.std[channel]);
        match &image.samples {
            Samples::Eight(samples) => {
                // A look-up costs less than two divisions, and 256 of them are soon made up for.
                let table: [f32; 256] = std::array::from_fn(|sample| (unit(sample as u8) - mean) / std);
                values.extend(samples[channel..].iter().step_by(channels).map(|&sample| table[usize::from(sample)]));
            }
            Samples::Sixteen(samples) => {
                values.extend(samples[channel..].iter().step_by(channels).map(|&sample| (unit(sample) - mean) / std));
            }
        }
    }
    values
}

/// A sample on the scale 0 (black) to 1 (white).
#[inline(always)]
pub fn unit<S: Sample>(sample: S) -> f32 {
    let value: f32 = sample.into();
    value / S::TOP as f32
}

/// `(value - mean) / std` in place, for every channel of `[channel, height, width]` values on the scale 0 to 1: what [`normalise`] does
/// for samples, with the same bits for whole ones.
///
/// # Panics
/// If means and deviations do not fit the channels.
#[inline(always)]
pub fn standardise(values: &mut [f32], preprocessing: &Preprocessing) {
    let channels = preprocessing.channels.count();
    assert_eq!((preprocessing.mean.len(), preprocessing.std.len()), (channels, channels), "one mean and std a channel");
    let plane = values.len() / channels;
    for (channel, values) in values.chunks_exact_mut(plane.max(1)).enumerate() {
        let (mean, std) = (preprocessing.mean[channel], preprocessing.std[channel]);
        values.iter_mut().for_each(|value| *value = (*value - mean) / std);
    }
}

/// [`resize`], then [`normalise`]: `[channel, height, width]`, ready for the model.
///
/// # Errors
/// As [`resize`], and if means or deviations do not fit the channels.
///
/// # Panics
/// If the samples do not fit the size of `image`.
pub fn prepare(image: &Image, preprocessing: &Preprocessing) -> Result<Vec<f32>, PrepareError> {
    let channels = preprocessing.channels.count();
    let (means, stds) = (preprocessing.mean.len(), preprocessing.std.len());
    let is_usable = preprocessing.std.iter().all(|&std| std > 0.0);
    if means != channels || stds != channels || !is_usable {
        return Err(PrepareError::Normalisation { means, stds, channels });
    }
    Ok(normalise(&resize(image, preprocessing)?, preprocessing))
}

#[cfg(test)]
mod tests;
