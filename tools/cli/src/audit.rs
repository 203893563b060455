//! `remedis audit`: whether a device's audit log is as it was written.

use anyhow::{Context, Result};
use remedis_store::{Answers, Finding, Verified, verify};
use std::path::PathBuf;
use std::process::ExitCode;

/// Look after a device's audit log
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Check that every line follows from the one before, and name the first that does not
    Verify {
        /// The log
        log: PathBuf,
        /// The answers beside it, which know how long the log is: without them, lines cut off its end go unnoticed
        #[arg(long)]
        answers: Option<PathBuf>,
        /// The finding as a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// 0 when the log is whole, 1 when it is not.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let Verb::Verify { log, answers, json } = &args.verb;
    let anchor = match answers {
        None => None,
        Some(path) => {
            let answers = Answers::open_read_only(path).with_context(|| format!("opening {}", path.display()))?;
            answers.audit_anchor().with_context(|| format!("reading {}", path.display()))?
        }
    };
    let verified = verify(log, anchor.as_ref()).with_context(|| format!("reading {}", log.display()))?;
    let (is_whole, words) = in_words(&verified, anchor.is_some());
    if *json {
        let head = &verified.head.hash;
        let said =
            serde_json::json!({ "is_whole": is_whole, "lines": verified.n_lines, "head": head, "finding": words });
        println!("{said}");
    } else {
        println!("{words}");
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn in_words(verified: &Verified, is_anchored: bool) -> (bool, String) {
    let Verified { n_lines, head, finding } = verified;
    match finding {
        Finding::Whole => {
            let end =
                if is_anchored { "none is missing at the end" } else { "the end was not checked: give --answers" };
            (true, format!("{n_lines} lines, each follows from the one before; {end}; head {}", head.hash))
        }
        Finding::Torn { offset, length } => (
            false,
            format!("{n_lines} good lines, then {length} bytes of an unfinished one at byte {offset}: a power cut"),
        ),
        Finding::Broken { line, offset, expected, found } => {
            (false, format!("broken at line {line}, byte {offset}: expected {expected}, found {found}"))
        }
    }
}
