//! Follows the chain from the first line to the last.

use super::line::{Line, MAX_LINE};
use super::{AuditHead, Event, InForce};
use std::io;
use std::path::Path;

/// What an audit log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Good lines before the finding.
    pub n_lines: u64,
    /// The last of them.
    pub head: AuditHead,
    /// What follows them.
    pub finding: Finding,
}

/// How an audit log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// With a whole line, all lines chained.
    Whole,
    /// With one line that was never finished. The next opening puts it aside.
    Torn {
        /// Where it begins, in bytes.
        offset: u64,
        /// How many bytes of it there are.
        length: u64,
    },
    /// With a line that is not what was written, or not with the lines that were there.
    Broken {
        /// The first bad or missing line, from 1.
        line: u64,
        /// Where it begins, in bytes.
        offset: u64,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
}

/// Verifies the log at `path` without changing it, also while it is being written.
///
/// `anchor` is a line that is known to have been written ([`Store::audit_anchor`](crate::Store::audit_anchor)); it must be
/// there. Without one, lines missing from the end cannot be noticed.
///
/// # Errors
/// When the file cannot be read.
pub fn verify(path: &Path, anchor: Option<&AuditHead>) -> io::Result<Verified> {
    Ok(check(&std::fs::read(path)?, anchor).verified)
}

/// A verified log, and what its good lines say.
pub(super) struct Checked {
    pub(super) verified: Verified,
    /// Where the last good line ends.
    pub(super) end: u64,
    /// After it.
    pub(super) in_force: InForce,
}

/// What `bytes` hold.
pub(super) fn check(bytes: &[u8], anchor: Option<&AuditHead>) -> Checked {
    let anchor = anchor.filter(|anchor| anchor.sequence > 0);
    let mut head = AuditHead::empty();
    let mut rest = bytes;
    let mut end = 0;
    let mut in_force = InForce::default();
    let mut finding = Finding::Whole;
    while !rest.is_empty() {
        let next = match next_line(rest, &head, anchor) {
            Ok(next) => next,
            Err(fault) => {
                finding = fault.finding(rest, head.sequence + 1, end);
                break;
            }
        };
        head = next.head;
        in_force.follow(next.event);
        end += next.length as u64;
        rest = rest.get(next.length..).unwrap_or_default();
    }
    if let Some(anchor) =
        anchor.filter(|anchor| anchor.sequence > head.sequence && !matches!(finding, Finding::Broken { .. }))
    {
        finding = Finding::Broken {
            line: head.sequence + 1,
            offset: end,
            expected: format!("lines up to {}, the last one known to be written", anchor.sequence),
            found: "the end of the log".into(),
        };
    }
    Checked { verified: Verified { n_lines: head.sequence, head, finding }, end, in_force }
}

struct Next {
    head: AuditHead,
    event: Event,
    length: usize,
}

struct Fault {
    /// Whether a power cut can be the reason.
    can_be_torn: bool,
    expected: String,
    found: String,
}

fn next_line(rest: &[u8], head: &AuditHead, anchor: Option<&AuditHead>) -> Result<Next, Fault> {
    let broken = |expected: String, found: String| Fault { can_be_torn: false, expected, found };
    let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
        let expected = "a line feed at the end of the line".into();
        return Err(Fault { can_be_torn: true, expected, found: "the end of the log".into() });
    };
    let bytes = rest.get(..length).unwrap_or_default();
    let line = Line::parse(bytes).map_err(|cause| Fault {
        can_be_torn: true,
        expected: cause.expected,
        found: cause.found,
    })?;
    if line.sequence != head.sequence + 1 {
        return Err(broken(format!("line {}", head.sequence + 1), format!("line {}", line.sequence)));
    }
    if line.previous != head.hash {
        return Err(broken(format!("hash {} of the line before", head.hash), line.previous));
    }
    let found = AuditHead::of_line(line.sequence, bytes);
    match anchor {
        Some(anchor) if anchor.sequence == found.sequence && anchor.hash != found.hash => {
            Err(broken(format!("the line that was written, with hash {}", anchor.hash), found.hash))
        }
        _ => Ok(Next { head: found, event: line.event, length: length + 1 }),
    }
}

impl Fault {
    /// A line is durable before the next begins, so a power cut can spoil one line, and nothing good can follow it.
    fn finding(self, rest: &[u8], line: u64, offset: u64) -> Finding {
        let is_last =
            rest.len() <= MAX_LINE && !rest.split(|&byte| byte == b'\n').skip(1).any(|line| Line::parse(line).is_ok());
        // Without a good line, only what begins like one, or was never filled, is taken for one of ours.
        let is_ours = line > 1 || matches!(rest.first(), Some(b'{' | 0));
        if self.can_be_torn && is_last && is_ours {
            return Finding::Torn { offset, length: rest.len() as u64 };
        }
        Finding::Broken { line, offset, expected: self.expected, found: self.found }
    }
}
