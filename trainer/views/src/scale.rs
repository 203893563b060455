//! Part of an image at another size.

use std::cell::RefCell;

use fast_image_resize as fir;
use remedis_imaging::Image;

thread_local! {
    static RESIZER: RefCell<fir::Resizer> = RefCell::new(fir::Resizer::new());
}

/// The part `[left, top, width, height]` of `image`, in pixels, at `size` `[width, height]`: bicubic and antialiased
/// (Keys 1981, a = -1/2, as in `SimCLR`), in whole numbers of its depth, so that every processor gives the same samples.
///
/// # Panics
/// If the part is not inside the image or either is empty.
pub(crate) fn scale(image: &Image, [left, top, width, height]: [f32; 4], size: [usize; 2]) -> Image {
    let options = fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom)).crop(
        left.into(),
        top.into(),
        width.into(),
        height.into(),
    );
    RESIZER
        .with_borrow_mut(|resizer| remedis_imaging::scale(image, size.map(|side| side as u32), &options, resizer))
        .expect("a part inside the image can be resized")
}
