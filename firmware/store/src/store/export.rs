//! Answers as CSV and as JSON lines, page by page, so that neither memory nor the writer's log grows with the export.

use super::{Answers, ExportError, Range, ReadError, Record};
use crate::answer::{Best, Verdict};
use std::io::{self, Write};

const RECORDS_A_PAGE: usize = 256;

const HEADER: [&str; 23] = [
    "sequence",
    "time_utc",
    "unix_ms",
    "is_clock_trusted",
    "boot",
    "uptime_ms",
    "source",
    "request_id",
    "request_fingerprint",
    "image_sha256",
    "image_bytes",
    "decision",
    "class_index",
    "class_name",
    "confidence",
    "reason",
    "probabilities",
    "model_name",
    "model_version",
    "model_digest",
    "skipped_frames",
    "trace",
    "delivered_unix_ms",
];

impl Answers {
    /// Writes the answers of a span of time as CSV (RFC 4180) with a header, oldest first, and returns how many.
    ///
    /// Cells are what is stored. A spreadsheet may take one that begins with `=` for a formula: import it as text.
    ///
    /// # Errors
    /// When a record cannot be read or the writer refuses; what was written until then is whole lines.
    pub fn export_csv(&self, range: &Range, to: impl Write) -> Result<u64, ExportError> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(HEADER).map_err(io::Error::from)?;
        let n = self.each(range, |record| {
            let line = csv_line(record, &self.time_utc(record.answer.unix_ms)?);
            csv.write_record(line).map_err(io::Error::from).map_err(ExportError::Write)
        })?;
        csv.flush()?;
        Ok(n)
    }

    /// Writes the answers of a span of time as one JSON object a line, oldest first, and returns how many.
    ///
    /// # Errors
    /// As for [`export_csv`](Self::export_csv).
    pub fn export_json_lines(&self, range: &Range, to: impl Write) -> Result<u64, ExportError> {
        let mut to = io::BufWriter::new(to);
        let n = self.each(range, |record| {
            serde_json::to_writer(&mut to, record).map_err(io::Error::from)?;
            Ok(to.write_all(b"\n")?)
        })?;
        to.flush()?;
        Ok(n)
    }

    fn each(
        &self,
        range: &Range,
        mut write: impl FnMut(&Record) -> Result<(), ExportError>,
    ) -> Result<u64, ExportError> {
        let (mut after, mut n) = (0, 0);
        loop {
            let records = self.page(range, after, RECORDS_A_PAGE)?;
            let Some(last) = records.last() else { return Ok(n) };
            after = last.sequence;
            n += records.len() as u64;
            records.iter().try_for_each(&mut write)?;
        }
    }

    /// ISO 8601; empty beyond the year 9999.
    fn time_utc(&self, unix_ms: u64) -> Result<String, ReadError> {
        let select = "SELECT coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', ?1 / 1000.0, 'unixepoch'), '')";
        Ok(self.connection.query_row(select, [super::answers::bounded(unix_ms)], |row| row.get(0))?)
    }
}

fn csv_line(record: &Record, time_utc: &str) -> [String; HEADER.len()] {
    let answer = &record.answer;
    let (decision, best, reason) = match &answer.verdict {
        Verdict::Class { index, name, confidence } => {
            ("class", Some(Best { index: *index, name: name.clone(), confidence: *confidence }), "")
        }
        Verdict::CannotSay { reason, best } => ("cannot_say", best.clone(), reason.as_str()),
        Verdict::Unreadable { reason } => ("unreadable", None, reason.as_str()),
    };
    let (id, fingerprint) = answer.request.clone().map(|request| (request.id, request.fingerprint)).unwrap_or_default();
    [
        record.sequence.to_string(),
        time_utc.to_owned(),
        answer.unix_ms.to_string(),
        answer.is_clock_trusted.to_string(),
        answer.boot.to_string(),
        answer.uptime_ms.to_string(),
        answer.source.clone(),
        id,
        fingerprint,
        answer.image_sha256.clone(),
        answer.image_bytes.to_string(),
        decision.to_owned(),
        best.as_ref().map(|best| best.index.to_string()).unwrap_or_default(),
        best.as_ref().map(|best| best.name.clone()).unwrap_or_default(),
        best.as_ref().map(|best| best.confidence.to_string()).unwrap_or_default(),
        reason.to_owned(),
        json(&answer.probabilities),
        answer.model.name.clone(),
        answer.model.version.clone(),
        answer.model.digest.clone(),
        answer.trace.skipped_frames.to_string(),
        json(&answer.trace),
        record.delivered_unix_ms.map(|at| at.to_string()).unwrap_or_default(),
    ]
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain fields with string keys always serialise")
}
