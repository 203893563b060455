//! Part of an image at another size.

use std::cell::RefCell;

use fast_image_resize as fir;
use remedis_imaging::{Channels, Image};

thread_local! {
    static RESIZER: RefCell<fir::Resizer> = RefCell::new(fir::Resizer::new());
}

/// The part `[left, top, width, height]` of `image`, in pixels, at `size` `[width, height]`: bicubic and antialiased
/// (Keys 1981, a = -1/2, as in `SimCLR`), in whole numbers, so that every processor gives the same bytes.
///
/// # Panics
/// If the part is not inside the image or either is empty.
pub(crate) fn scale(image: &Image, [left, top, width, height]: [f32; 4], size: [usize; 2]) -> Image {
    let pixel_type = match image.channels {
        Channels::Grey => fir::PixelType::U8,
        Channels::Rgb => fir::PixelType::U8x3,
    };
    let from = fir::images::ImageRef::new(image.width, image.height, &image.pixels, pixel_type)
        .expect("an image holds as many samples as its size says");
    let mut to = fir::images::Image::new(size[0] as u32, size[1] as u32, pixel_type);
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom)).crop(
        left.into(),
        top.into(),
        width.into(),
        height.into(),
    );
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize(&from, &mut to, &options))
        .expect("a part inside the image can be resized");
    Image { width: size[0] as u32, height: size[1] as u32, channels: image.channels, pixels: to.into_vec() }
}
