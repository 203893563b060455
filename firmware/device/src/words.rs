//! Alarms in words, in both languages.

use crate::operation::alarm::Alarm;

/// What is wrong.
pub(crate) fn alarm(alarm: Alarm, is_german: bool) -> &'static str {
    let [english, german] = match alarm {
        Alarm::Stopped => ["The device has stopped", "Das Gerät ist angehalten"],
        Alarm::AuditBroken => {
            ["The audit log is not what was written", "Das Prüfprotokoll ist nicht, was geschrieben wurde"]
        }
        Alarm::NoModel => ["There is no model to answer with", "Es gibt kein Modell, das antwortet"],
        Alarm::JournalReadOnly => {
            ["The disk is read-only: no answers are given", "Datenträger schreibgeschützt: keine Antworten"]
        }
        Alarm::DiskFull => ["The disk is full: no answers are given", "Datenträger voll: keine Antworten"],
        Alarm::JournalFault => ["The journal fails: no answers are given", "Journal gestört: keine Antworten"],
        Alarm::ModelFault => ["The model failed", "Das Modell ist ausgefallen"],
        Alarm::ModelReturned => {
            ["The model failed, the one before answers", "Modell ausgefallen, das vorige antwortet"]
        }
        Alarm::Hanging => ["A part of the device hangs", "Ein Teil des Geräts hängt"],
        Alarm::DiskLow => ["The disk is nearly full", "Datenträger fast voll"],
        Alarm::Hot => ["The device is too hot", "Das Gerät ist zu heiß"],
        Alarm::SourceLost(_) => ["A source of images is gone", "Eine Bildquelle fehlt"],
        Alarm::OutOfMemory => {
            ["Memory ran out, and the device was restarted", "Arbeitsspeicher war erschöpft, Gerät neu gestartet"]
        }
        Alarm::ClockJumped => ["The clock was set", "Die Uhr wurde verstellt"],
        Alarm::DisplayLost => ["The display is gone", "Die Anzeige fehlt"],
    };
    if is_german { german } else { english }
}
