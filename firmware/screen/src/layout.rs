//! How things are put beside and below each other.

mod column;
mod flow;
mod scale;

pub(crate) use column::{Column, Style, centre, centred_line, line, needed, put_whole};
pub(crate) use flow::{Flow, Mark, Tag};
pub(crate) use scale::Scale;
