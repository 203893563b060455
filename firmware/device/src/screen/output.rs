//! What pages are put on, and what each shows now.

use super::Canvas;
use crate::pipeline::judge::chain;
use embedded_graphics::prelude::Size;
use std::error::Error;

/// A page is drawn anew this often, so that what something else drew over it goes, or what a bad wire made of it.
const ANEW_AFTER_MS: u64 = 60_000;

/// Why a page could not be put somewhere.
pub(super) type Fault = Box<dyn Error + Send + Sync>;

/// Something that pages are put on.
pub(super) trait Output: Send {
    /// For people who look for a fault.
    fn name(&self) -> &'static str;

    /// Makes it ready: the size in pixels that a page must have now.
    fn open(&mut self) -> Result<Size, Fault>;

    /// Puts a page of that size there, where `before` is, if it is known. After a fault it is opened anew.
    fn put(&mut self, before: Option<&Canvas>, page: &Canvas) -> Result<(), Fault>;
}

/// An output and the page that it shows.
pub(super) struct Shown {
    output: Box<dyn Output>,
    page: Option<Canvas>,
    /// When a whole page was last put there.
    whole_ms: u64,
}

impl Shown {
    pub(super) fn nothing(output: impl Output + 'static) -> Self {
        Self { output: Box::new(output), page: None, whole_ms: 0 }
    }

    /// Shows the page that `draw` makes for a size; one that is there already stays as it is for a minute. The reason comes with the
    /// output's name.
    pub(super) fn show(&mut self, now_ms: u64, draw: impl FnOnce(Size) -> Canvas) -> Result<(), String> {
        self.try_to_show(now_ms, draw).map_err(|cause| format!("{}: {}", self.output.name(), chain(&*cause)))
    }

    fn try_to_show(&mut self, now_ms: u64, draw: impl FnOnce(Size) -> Canvas) -> Result<(), Fault> {
        // After a fault nothing is known of what is there.
        let before = self.page.take().filter(|_| now_ms < self.whole_ms + ANEW_AFTER_MS);
        let page = draw(self.output.open()?);
        if before.is_none() {
            self.whole_ms = now_ms;
        }
        if before.as_ref() != Some(&page) {
            self.output.put(before.as_ref(), &page)?;
        }
        self.page = Some(page);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::{pixelcolor::Rgb888, prelude::*};
    use std::sync::mpsc::{Receiver, Sender, channel};

    const SIZE: Size = Size::new(2, 1);

    /// Tells what is put there: whether that is a whole page.
    struct Paper {
        told: Sender<bool>,
        faults: Receiver<Fault>,
    }

    impl Output for Paper {
        fn name(&self) -> &'static str {
            "paper"
        }

        fn open(&mut self) -> Result<Size, Fault> {
            Ok(SIZE)
        }

        fn put(&mut self, before: Option<&Canvas>, _page: &Canvas) -> Result<(), Fault> {
            self.told.send(before.is_none()).unwrap();
            self.faults.try_recv().map_or(Ok(()), Err)
        }
    }

    fn paper() -> (Shown, Receiver<bool>, Sender<Fault>) {
        let ((told, tells), (break_it, faults)) = (channel(), channel());
        (Shown::nothing(Paper { told, faults }), tells, break_it)
    }

    fn page(colour: Rgb888) -> Canvas {
        let mut canvas = Canvas::new(SIZE);
        canvas.clear(colour).unwrap();
        canvas
    }

    #[test]
    fn a_page_that_is_there_is_put_there_again_only_after_a_minute() {
        let (mut shown, tells, _) = paper();
        let mut show = |now_ms, colour| {
            shown.show(now_ms, |_| page(colour)).unwrap();
            tells.try_recv().ok()
        };
        assert_eq!(show(5_000, Rgb888::RED), Some(true));
        assert_eq!(show(5_500, Rgb888::RED), None);
        assert_eq!(show(6_000, Rgb888::BLUE), Some(false));
        assert_eq!(show(64_999, Rgb888::BLUE), None);
        assert_eq!(show(65_000, Rgb888::BLUE), Some(true));
        assert_eq!(show(66_000, Rgb888::BLUE), None);
    }

    #[test]
    fn after_a_fault_the_whole_page_is_put_there() {
        let (mut shown, tells, break_it) = paper();
        shown.show(0, |_| page(Rgb888::RED)).unwrap();
        break_it.send("it is torn".into()).unwrap();
        assert_eq!(shown.show(1, |_| page(Rgb888::BLUE)).unwrap_err(), "paper: it is torn");
        shown.show(2, |_| page(Rgb888::BLUE)).unwrap();
        assert_eq!(tells.try_iter().collect::<Vec<_>>(), [true, false, true]);
    }
}
