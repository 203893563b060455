//! Who gets in, and what a stranger may use up. No clock of its own: every moment is handed in.

mod address;
mod admission;
mod bucket;
mod login;
mod requests;
mod sessions;

pub(crate) use admission::{Admission, Admitted, Ticket};
pub(crate) use login::{Attempt, LoginLimiter};
pub(crate) use requests::{Refusal, RequestRate, check_host, check_origin};
pub(crate) use sessions::Sessions;
