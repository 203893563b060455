//! `remedis-device journal`: the answers, as people and programs read them.

use anyhow::Context;
use remedis_store::{Answers, Range, Record, Verdict};
use std::io::Write;
use std::path::PathBuf;

/// Rows that are read at a time.
const PAGE: usize = 500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The journal.
    path: PathBuf,
    /// One JSON object a line.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Comma-separated values with a header.
    #[arg(long)]
    csv: bool,
    /// From this time on, in milliseconds since 1970-01-01 UTC.
    #[arg(long, default_value_t = 0)]
    from_ms: u64,
    /// Before this time, in milliseconds since 1970-01-01 UTC.
    #[arg(long, default_value_t = u64::MAX)]
    until_ms: u64,
}

/// # Errors
/// When the journal cannot be read.
pub(crate) fn print(args: &Args) -> anyhow::Result<()> {
    let answers =
        Answers::open_read_only(&args.path).with_context(|| format!("opening the journal {}", args.path.display()))?;
    let range = Range { from_unix_ms: args.from_ms, until_unix_ms: args.until_ms };
    let out = std::io::stdout().lock();
    let n_answers = match (args.json, args.csv) {
        (true, _) => answers.export_json_lines(&range, out)?,
        (_, true) => answers.export_csv(&range, out)?,
        _ => lines(&answers, &range, out)?,
    };
    eprintln!("{n_answers} answers");
    Ok(())
}

fn lines(answers: &Answers, range: &Range, mut out: impl Write) -> anyhow::Result<u64> {
    let (mut after, mut n) = (0, 0);
    loop {
        let page = answers.page(range, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(n) };
        after = last.sequence;
        n += page.len() as u64;
        for record in &page {
            writeln!(out, "{}", line(record))?;
        }
    }
}

fn line(record: &Record) -> String {
    let answer = &record.answer;
    let verdict = match &answer.verdict {
        Verdict::Class { name, confidence, .. } => format!("{name} {confidence:.4}"),
        Verdict::CannotSay { reason, .. } | Verdict::Unreadable { reason } => format!("cannot say: {reason}"),
    };
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    let (image, bundle) = (short(&answer.image_sha256), short(&answer.model.digest));
    let request = answer.request.as_ref().map_or(String::new(), |request| format!(" {}", short(&request.id)));
    let model = format!("{} {}", answer.model.name, answer.model.version);
    format!("answer {} {}{request} image {image} model {model} ({bundle}): {verdict}", record.sequence, answer.source)
}
