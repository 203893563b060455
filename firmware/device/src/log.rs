//! What happened, one line an event, on standard error. Frame numbers and hashes only: no patient data, no image names.

use serde::Serialize;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Something worth a line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are the log's own words; each is explained where it is written")]
pub enum Note<'a> {
    Started {
        model: &'a str,
        bundle: &'a str,
        answers: u64,
    },
    Readied {
        plan: &'a str,
    },
    JournalRecovered,
    AuditRepaired {
        bytes: u64,
        kept_in: &'a str,
    },
    JournalFault {
        reason: &'a str,
    },
    JournalBack,
    AuditFault {
        reason: &'a str,
    },
    Retained {
        removed: u64,
        bytes: u64,
    },
    SourceOpen {
        source: &'a str,
    },
    SlowPort {
        source: &'a str,
        latency_ms: u32,
        advice: &'a str,
    },
    SourceLost {
        source: &'a str,
        reason: &'a str,
    },
    Connected {
        source: &'a str,
    },
    FrameStarted {
        frame: u64,
        bytes: u32,
    },
    FrameResumed {
        frame: u64,
        at: u32,
    },
    Answered {
        answer: u64,
        source: &'a str,
        sha256: &'a str,
        decision: &'a str,
        class: Option<&'a str>,
        confidence: Option<f32>,
    },
    Unreadable {
        answer: u64,
        source: &'a str,
        sha256: &'a str,
        reason: &'a str,
    },
    AnsweredBefore {
        source: &'a str,
        answer: u64,
    },
    Refused {
        source: &'a str,
        reason: &'a str,
    },
    LeftAlone {
        source: &'a str,
        things: &'a std::collections::BTreeMap<&'a str, u64>,
    },
    Delivered {
        source: &'a str,
        answer: u64,
    },
    Line {
        source: &'a str,
        counters: &'a std::collections::BTreeMap<&'a str, u64>,
    },
    ModelChanged {
        what: &'a serde_json::Value,
    },
    Panicked {
        part: &'a str,
        at: &'a str,
    },
    ModelFault {
        reason: &'a str,
    },
    ClockJumped {
        by_ms: i64,
    },
    Hanging {
        part: &'a str,
        silent_ms: u64,
    },
    Moving,
    ScreenFailed {
        reason: &'a str,
    },
    ScreenBack,
    KeysLost {
        reason: &'a str,
    },
    KeysBack,
    Listening {
        address: &'a str,
    },
    PageUnreachable {
        reason: &'a str,
    },
    Failed {
        reason: &'a str,
    },
    Web {
        what: &'a serde_json::Value,
    },
    Stopped {
        answers: u64,
    },
}

/// Where lines go; clones write to the same place.
#[derive(Clone)]
pub struct Log {
    is_json: bool,
    out: Arc<Mutex<dyn Write + Send>>,
}

impl Log {
    /// A log on standard error, as JSON lines or for people.
    pub fn to_stderr(is_json: bool) -> Self {
        Self::to(is_json, std::io::stderr())
    }

    /// A log to any writer.
    pub fn to(is_json: bool, out: impl Write + Send + 'static) -> Self {
        Self { is_json, out: Arc::new(Mutex::new(out)) }
    }

    /// Writes one line. A log that cannot be written is no reason to stop working.
    pub fn note(&self, note: &Note<'_>) {
        let line = if self.is_json { as_json(note) } else { as_text(note) };
        let mut out = self.out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _unwritten = writeln!(out, "{line}");
    }
}

fn as_json(note: &Note<'_>) -> String {
    serde_json::to_string(note).expect("notes are plain fields with string keys")
}

/// `event key=value key=value`, the fields in the order they are declared.
fn as_text(note: &Note<'_>) -> String {
    let json = as_json(note);
    let fields = json.strip_prefix('{').and_then(|json| json.strip_suffix('}')).unwrap_or(&json);
    fields.replacen("\"event\":", "", 1).replace(",\"", " \"").replace("\":", "=").replace(['"'], "")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a log wrote, for a test to read.
    #[derive(Clone, Default)]
    pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn people_read_words_and_programs_read_json() {
        let note = Note::FrameStarted { frame: 7, bytes: 1024 };
        assert_eq!(as_text(&note), "frame_started frame=7 bytes=1024");
        assert_eq!(as_json(&note), r#"{"event":"frame_started","frame":7,"bytes":1024}"#);
        let note = Note::Web { what: &serde_json::json!({ "event": "stopped" }) };
        assert_eq!(as_text(&note), "web what={event=stopped}");
    }
}
