//! What pages are put on, and what each shows now.

use super::Canvas;
use crate::pipeline::judge::chain;
use embedded_graphics::prelude::Size;
use std::error::Error;

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
}

impl Shown {
    pub(super) fn nothing(output: impl Output + 'static) -> Self {
        Self { output: Box::new(output), page: None }
    }

    /// Shows the page that `draw` makes for a size; one that is there already stays as it is. The reason comes with the output's name.
    pub(super) fn show(&mut self, draw: impl FnOnce(Size) -> Canvas) -> Result<(), String> {
        self.try_to_show(draw).map_err(|cause| format!("{}: {}", self.output.name(), chain(&*cause)))
    }

    fn try_to_show(&mut self, draw: impl FnOnce(Size) -> Canvas) -> Result<(), Fault> {
        // After a fault nothing is known of what is there.
        let before = self.page.take();
        let page = draw(self.output.open()?);
        if before.as_ref() != Some(&page) {
            self.output.put(before.as_ref(), &page)?;
        }
        self.page = Some(page);
        Ok(())
    }
}
