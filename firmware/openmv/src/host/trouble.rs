//! Why there is no frame.

use crate::frame::FrameError;
use crate::packet::Status;
use std::mem::discriminant;

/// Why there is no connection, or why the last frame was none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The caller said so.
    #[error("the line was opened anew, the camera is being connected")]
    Reopened,
    /// Requests were repeated in vain.
    #[error("the camera did not answer {request} within {waited_ms} ms; check cable, rate and power")]
    Silent {
        /// What was asked.
        request: &'static str,
        /// Since it was asked first.
        waited_ms: u64,
    },
    /// A no that means more than "not now".
    #[error("the camera refused {request}: {status:?}")]
    Refused {
        /// What was asked.
        request: &'static str,
        /// Why.
        status: Status,
    },
    /// The camera's sequence number is not one that it can have reached.
    #[error("the camera expected packet {found} where {expected} is next: it was restarted")]
    Restarted {
        /// Ours.
        expected: u8,
        /// The camera's.
        found: u8,
    },
    /// Every repetition was refused as being out of the sequence.
    #[error("the camera and this host do not find a common sequence number")]
    OutOfStep,
    /// Not a camera with OpenMV's firmware.
    #[error("the camera has no channels stdin and stream; expected OpenMV firmware 5 or later")]
    NoStream,
    /// An answer that goes on and on.
    #[error("the answer to {request} is longer than {expected} bytes")]
    LongAnswer {
        /// What was asked.
        request: &'static str,
        /// Bytes that it may have.
        expected: usize,
    },
    /// An answer that ends too soon.
    #[error("{found} of a frame's {expected} bytes came")]
    ShortFrame {
        /// As the camera said before.
        expected: usize,
        /// That came.
        found: usize,
    },
    /// It was not read.
    #[error("a frame of {found} bytes, of which at most {expected} are read; change the camera's script")]
    LongFrame {
        /// That are allowed.
        expected: usize,
        /// As the camera says.
        found: usize,
    },
    /// The camera answers, but has no picture to show.
    #[error("no frame for {quiet_ms} ms; is a script running on the camera?")]
    Quiet {
        /// Since the last frame.
        quiet_ms: u64,
    },
    /// What came is no frame that is known.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Trouble {
    /// Whether it is the same trouble, if in other numbers.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Frame(one), Self::Frame(other)) => discriminant(one) == discriminant(other),
            (one, other) => discriminant(one) == discriminant(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_in_other_numbers_is_the_same_trouble() {
        let [long, longer] = [500, 600].map(|found| Trouble::LongFrame { expected: 400, found });
        let format = Trouble::Frame(FrameError::Format { found: 5 });
        assert!(long.is_like(&longer));
        assert!(format.is_like(&Trouble::Frame(FrameError::Format { found: 6 })));
        assert!(!format.is_like(&Trouble::Frame(FrameError::Jpeg)) && !format.is_like(&long));
    }
}
