//! An answer as columns, and back. A checksum over the columns tells when they are no longer what was written.

use super::{AppendError, ReadError};
use crate::answer::{Answer, Best, ModelId, Request, Verdict};
use crc::{CRC_32_ISO_HDLC, Crc};
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};
use serde::{Deserialize, Serialize};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The columns of an answer, in the order of the checksum.
pub(super) const COLUMNS: &str = "source, request_id, request_fingerprint, image_sha256, image_bytes, decision, \
    class_index, class_name, confidence, reason, probabilities, model_name, model_version, model_digest, unix_ms, \
    is_clock_trusted, boot, uptime_ms, trace";
const N_COLUMNS: usize = 19;

/// What [`record`] reads, before `FROM`.
pub(super) fn selection() -> String {
    format!("SELECT {COLUMNS}, sequence, checksum, delivered_unix_ms")
}

/// One record of a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number: from 1, rising, never given twice.
    pub sequence: u64,
    /// What was answered.
    #[serde(flatten)]
    pub answer: Answer,
    /// When the answer reached whoever asked; none as long as it did not.
    pub delivered_unix_ms: Option<u64>,
}

/// The columns of an answer, and after them their checksum.
pub(super) fn values(answer: &Answer) -> Result<Vec<Value>, AppendError> {
    if let Some(field) = answer.not_finite() {
        return Err(AppendError::Invalid { field });
    }
    let request = answer.request.as_ref();
    let mut values = vec![
        text(&answer.source),
        optional(request.map(|request| &request.id)),
        optional(request.map(|request| &request.fingerprint)),
        text(&answer.image_sha256),
        integer("image_bytes", answer.image_bytes)?,
    ];
    values.extend(verdict_values(&answer.verdict));
    values.extend([
        json(&answer.probabilities),
        text(&answer.model.name),
        text(&answer.model.version),
        text(&answer.model.digest),
        integer("unix_ms", answer.unix_ms)?,
        Value::from(answer.is_clock_trusted),
        integer("boot", answer.boot)?,
        integer("uptime_ms", answer.uptime_ms)?,
        json(&answer.trace),
    ]);
    let checksum = checksum(values.iter().map(ValueRef::from));
    values.push(checksum.into());
    Ok(values)
}

fn verdict_values(verdict: &Verdict) -> [Value; 5] {
    let (decision, best, reason) = match verdict {
        Verdict::Class { index, name, confidence } => ("class", Some((*index, name, *confidence)), None),
        Verdict::CannotSay { reason, best } => {
            let best = best.as_ref().map(|best| (best.index, &best.name, best.confidence));
            ("cannot_say", best, Some(reason))
        }
        Verdict::Unreadable { reason } => ("unreadable", None, Some(reason)),
    };
    [
        text(decision),
        best.map_or(Value::Null, |(index, ..)| i64::from(index).into()),
        optional(best.map(|(_, name, _)| name)),
        // SQLite keeps no negative zero; adding zero makes it a positive one.
        best.map_or(Value::Null, |(.., confidence)| (f64::from(confidence) + 0.0).into()),
        optional(reason),
    ]
}

/// Reads a row of [`selection`].
pub(super) fn record(row: &Row<'_>) -> Result<Record, ReadError> {
    let sequence: i64 = row.get("sequence")?;
    let damaged = |found: String| ReadError::Damaged { sequence, found };
    let columns = (0..N_COLUMNS).map(|at| row.get_ref(at)).collect::<Result<Vec<_>, _>>()?;
    let (expected, found): (i64, i64) = (checksum(columns.into_iter()), row.get("checksum")?);
    if expected != found {
        return Err(damaged(format!("its checksum is {found:#010x}, its columns give {expected:#010x}")));
    }
    let number = |column: &str| -> Result<u64, ReadError> {
        let number: i64 = row.get(column)?;
        u64::try_from(number).map_err(|_negative| damaged(format!("{column} is {number}")))
    };
    let from_json = |column: &str, cause: serde_json::Error| damaged(format!("{column} is no JSON of ours: {cause}"));
    let (id, fingerprint): (Option<_>, Option<_>) = (row.get("request_id")?, row.get("request_fingerprint")?);
    let delivered: Option<i64> = row.get("delivered_unix_ms")?;
    let answer = Answer {
        source: row.get("source")?,
        request: id.zip(fingerprint).map(|(id, fingerprint)| Request { id, fingerprint }),
        image_sha256: row.get("image_sha256")?,
        image_bytes: number("image_bytes")?,
        verdict: verdict(row)?.ok_or_else(|| damaged("its columns give no verdict".into()))?,
        probabilities: serde_json::from_str(text_of(row, "probabilities")?)
            .map_err(|cause| from_json("probabilities", cause))?,
        model: ModelId {
            name: row.get("model_name")?,
            version: row.get("model_version")?,
            digest: row.get("model_digest")?,
        },
        unix_ms: number("unix_ms")?,
        is_clock_trusted: row.get("is_clock_trusted")?,
        boot: number("boot")?,
        uptime_ms: number("uptime_ms")?,
        trace: serde_json::from_str(text_of(row, "trace")?).map_err(|cause| from_json("trace", cause))?,
    };
    Ok(Record {
        sequence: number("sequence")?,
        answer,
        delivered_unix_ms: delivered.map(|_| number("delivered_unix_ms")).transpose()?,
    })
}

fn verdict(row: &Row<'_>) -> rusqlite::Result<Option<Verdict>> {
    let confidence: Option<f64> = row.get("confidence")?;
    let (index, name): (Option<u16>, Option<String>) = (row.get("class_index")?, row.get("class_name")?);
    // Exact: the number was an f32 when it was written.
    let best = index.zip(name).zip(confidence).map(|((index, name), confidence)| Best {
        index,
        name,
        confidence: confidence as f32,
    });
    let reason: Option<String> = row.get("reason")?;
    Ok(match (text_of(row, "decision")?, best, reason) {
        ("class", Some(Best { index, name, confidence }), None) => Some(Verdict::Class { index, name, confidence }),
        ("cannot_say", best, Some(reason)) => Some(Verdict::CannotSay { reason, best }),
        ("unreadable", None, Some(reason)) => Some(Verdict::Unreadable { reason }),
        _ => None,
    })
}

fn text_of<'row>(row: &'row Row<'_>, column: &str) -> rusqlite::Result<&'row str> {
    row.get_ref(column)?.as_str().map_err(Into::into)
}

/// CRC-32/ISO-HDLC over type, length and bytes of each value.
fn checksum<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
    let mut crc = CRC.digest();
    for value in values {
        let (kind, bytes) = match value {
            ValueRef::Null => (0, Vec::new()),
            ValueRef::Integer(number) => (1, number.to_le_bytes().to_vec()),
            ValueRef::Real(number) => (2, number.to_bits().to_le_bytes().to_vec()),
            ValueRef::Text(bytes) => (3, bytes.to_vec()),
            ValueRef::Blob(bytes) => (4, bytes.to_vec()),
        };
        crc.update(&[kind]);
        crc.update(&(bytes.len() as u64).to_le_bytes());
        crc.update(&bytes);
    }
    crc.finalize().into()
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn optional(value: Option<&String>) -> Value {
    value.map_or(Value::Null, |value| text(value))
}

pub(super) fn integer(field: &'static str, value: u64) -> Result<Value, AppendError> {
    i64::try_from(value).map(Value::from).map_err(|_too_large| AppendError::Invalid { field })
}

pub(super) fn json(value: &impl Serialize) -> Value {
    Value::Text(serde_json::to_string(value).expect("plain fields with string keys always serialise"))
}
