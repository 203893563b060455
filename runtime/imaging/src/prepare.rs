//! From a decoded picture to the numbers a model sees.

use fast_image_resize as fir;
use remedis_bundle::{Channels, Preprocessing, Resize};

use crate::Image;
use crate::image::channel_count;

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

/// Brings a picture to the size and the channels of a model's input, still with 8 bits a sample.
///
/// The filter is an antialiased bilinear convolution in whole numbers, so every processor gives the same bytes.
/// [`Resize::CentreCrop`] scales the short side and keeps the middle of the long one; [`Resize::Stretch`] ignores the
/// shape. Colour becomes grey as in [`Image::to_grey`].
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
    let grey;
    let source = if image.channels == Channels::Rgb && wanted.channels == Channels::Grey {
        grey = image.to_grey();
        &grey
    } else {
        image
    };
    let scaled = if (source.width, source.height) == (wanted.width, wanted.height) {
        source.clone()
    } else {
        scale(source, wanted).map_err(|error| PrepareError::Resize {
            width: image.width,
            height: image.height,
            source: error,
        })?
    };
    Ok(match wanted.channels {
        Channels::Grey => scaled,
        Channels::Rgb => scaled.to_rgb(),
    })
}

fn scale(source: &Image, wanted: &Preprocessing) -> Result<Image, fir::ResizeError> {
    let pixel_type = match source.channels {
        Channels::Grey => fir::PixelType::U8,
        Channels::Rgb => fir::PixelType::U8x3,
    };
    let from = fir::images::ImageRef::new(source.width, source.height, &source.pixels, pixel_type)
        .expect("the number of samples was asserted");
    let mut to = fir::images::Image::new(wanted.width, wanted.height, pixel_type);
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear));
    let options = match wanted.resize {
        Resize::Stretch => options,
        Resize::CentreCrop => options.fit_into_destination(Some((0.5, 0.5))),
    };
    fir::Resizer::new().resize(&from, &mut to, &options)?;
    Ok(Image::new(wanted.width, wanted.height, source.channels, to.into_vec()))
}

/// `(pixel / 255 - mean) / std` for every channel.
///
/// # Shapes
/// - `image`: exactly the size and channels of `preprocessing`
/// - returns: `[channel, height, width]`
///
/// # Panics
/// If the image does not have the geometry of `preprocessing`, or means and deviations do not fit the channels.
pub fn normalise(image: &Image, preprocessing: &Preprocessing) -> Vec<f32> {
    image.assert_whole();
    let channels = channel_count(image.channels);
    assert_eq!(
        (image.width, image.height, image.channels),
        (preprocessing.width, preprocessing.height, preprocessing.channels),
        "the image was not resized to the model's input"
    );
    assert_eq!((preprocessing.mean.len(), preprocessing.std.len()), (channels, channels), "one mean and std a channel");
    let mut values = Vec::with_capacity(image.pixels.len());
    for channel in 0..channels {
        let (mean, std) = (preprocessing.mean[channel], preprocessing.std[channel]);
        let table: [f32; 256] = std::array::from_fn(|pixel| (pixel as f32 / 255.0 - mean) / std);
        values.extend(image.pixels.iter().skip(channel).step_by(channels).map(|&pixel| table[usize::from(pixel)]));
    }
    values
}

/// `(value - mean) / std` in place, for every channel of `[channel, height, width]` values that are pixels over 255: what
/// [`normalise`] does for bytes, with the same bits for whole pixels.
///
/// # Panics
/// If means and deviations do not fit the channels.
#[inline(always)]
pub fn standardise(values: &mut [f32], preprocessing: &Preprocessing) {
    let channels = channel_count(preprocessing.channels);
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
    let channels = channel_count(preprocessing.channels);
    let (means, stds) = (preprocessing.mean.len(), preprocessing.std.len());
    let is_usable = preprocessing.std.iter().all(|&std| std > 0.0);
    if means != channels || stds != channels || !is_usable {
        return Err(PrepareError::Normalisation { means, stds, channels });
    }
    Ok(normalise(&resize(image, preprocessing)?, preprocessing))
}

#[cfg(test)]
mod tests;
