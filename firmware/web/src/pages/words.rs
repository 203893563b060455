//! What the device's own names for things mean, in both languages side by side.
//!
//! Names come from sources, gates, the judge and alarms; they never change, so that logs and metrics can be searched for them. A name that
//! is not here, of a newer bundle perhaps, is shown as it is.

use crate::Language;

/// A name and its words in English and German.
type Entry = (&'static str, &'static str, &'static str);

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Alarm,
    Reason,
    Gate,
    Counter,
    Stage,
}

impl Kind {
    /// The filters that put names into words, as templates call them.
    pub(super) const FILTERS: [(&'static str, Self); 5] = [
        ("alarm", Self::Alarm),
        ("reason", Self::Reason),
        ("gate", Self::Gate),
        ("counter", Self::Counter),
        ("stage", Self::Stage),
    ];

    /// What `name` means.
    pub(super) fn words(self, name: &str, language: Language) -> Option<&'static str> {
        let (_, english, german) = self.entries().iter().find(|(known, ..)| *known == name)?;
        Some(match language {
            Language::English => english,
            Language::German => german,
        })
    }

    fn entries(self) -> &'static [Entry] {
        match self {
            Self::Alarm => &ALARMS,
            Self::Reason => &REASONS,
            Self::Gate => &GATES,
            Self::Counter => &COUNTERS,
            Self::Stage => &STAGES,
        }
    }
}

const ALARMS: [Entry; 15] = [
    ("stopped", "The device has stopped", "Das Gerät ist angehalten"),
    ("audit_broken", "The audit log is not what was written", "Das Prüfprotokoll ist nicht, was geschrieben wurde"),
    ("no_model", "There is no model to answer with", "Es gibt kein Modell, das antwortet"),
    ("model_fault", "The model failed", "Das Modell ist ausgefallen"),
    (
        "out_of_memory",
        "Memory ran out, and the device was started again",
        "Arbeitsspeicher war erschöpft, Gerät wurde neu gestartet",
    ),
    (
        "journal_read_only",
        "The disk is read-only: no answers are given",
        "Datenträger schreibgeschützt: keine Antworten",
    ),
    ("disk_full", "The disk is full: no answers are given", "Datenträger voll: keine Antworten"),
    ("journal_fault", "The journal fails: no answers are given", "Journal gestört: keine Antworten"),
    ("model_returned", "The model failed, the one before answers", "Modell ausgefallen, das vorige antwortet"),
    ("hanging", "A part of the device hangs", "Ein Teil des Geräts hängt"),
    ("disk_low", "The disk is nearly full", "Datenträger fast voll"),
    ("hot", "The device is too hot", "Das Gerät ist zu heiß"),
    ("source_lost", "A source of images is gone", "Eine Bildquelle fehlt"),
    ("clock_jumped", "The clock was set", "Die Uhr wurde verstellt"),
    ("display_lost", "The display is gone", "Die Anzeige fehlt"),
];

/// As the screen says them (`firmware/screen/src/language`).
const REASONS: [Entry; 9] = [
    ("low_confidence", "The model is not sure enough.", "Das Modell ist nicht sicher genug."),
    (
        "blurred",
        "The image is blurred. Focus and take it again.",
        "Das Bild ist unscharf. Scharf stellen und neu aufnehmen.",
    ),
    (
        "too_dark",
        "The image is too dark. Give more light or exposure.",
        "Das Bild ist zu dunkel. Mehr Licht oder länger belichten.",
    ),
    (
        "too_bright",
        "The image is too bright. Reduce light or exposure.",
        "Das Bild ist zu hell. Weniger Licht oder kürzer belichten.",
    ),
    (
        "saturated",
        "Parts of the image are burnt out. Reduce the exposure.",
        "Teile des Bildes sind übersteuert. Kürzer belichten.",
    ),
    (
        "geometry",
        "Size or shape of the image does not fit the model.",
        "Größe oder Form des Bildes passt nicht zum Modell.",
    ),
    ("unlike", "The image is unlike those the model was trained on.", "Das Bild gleicht den Trainingsbildern nicht."),
    ("unreadable", "The image cannot be read. Please send it again.", "Das Bild ist nicht lesbar. Bitte neu senden."),
    ("model_fault", "The model failed. See the alarms.", "Das Modell hat versagt. Siehe Meldungen."),
];

const GATES: [Entry; 10] = [
    ("width", "Width", "Breite"),
    ("height", "Height", "Höhe"),
    ("aspect", "Width to height", "Breite zu Höhe"),
    ("exposure", "Brightness", "Helligkeit"),
    ("black", "Share of black", "Anteil Schwarz"),
    ("white", "Share of white", "Anteil Weiß"),
    ("sharpness", "Sharpness", "Schärfe"),
    ("appearance", "Distance from known images", "Abstand von bekannten Bildern"),
    ("energy", "Strangeness to the model", "Fremdheit für das Modell"),
    ("confidence", "Confidence", "Sicherheit"),
];

const COUNTERS: [Entry; 29] = [
    ("abandoned_frames", "Images given up", "Aufgegebene Bilder"),
    ("camera_restarts", "Restarts of the camera", "Neustarts der Kamera"),
    ("corrupt", "Corrupt packets", "Gestörte Pakete"),
    ("damaged_images", "Damaged images", "Beschädigte Bilder"),
    ("discarded_bytes", "Bytes passed over", "Übergangene Bytes"),
    ("failed", "Files that failed", "Misslungene Dateien"),
    ("files", "Files", "Dateien"),
    ("frames", "Images", "Bilder"),
    ("left_alone", "Things left alone", "Nicht angerührt"),
    ("malformed", "Packets not understood", "Unverständliche Pakete"),
    ("naks", "Refusals sent", "Gesendete Ablehnungen"),
    ("opened", "Times opened", "Anschluss geöffnet"),
    ("packets", "Packets", "Pakete"),
    ("pauses", "Pauses asked for", "Erbetene Pausen"),
    ("rate_changes", "Changes of rate", "Wechsel der Baudrate"),
    ("refusals", "Refusals by the camera", "Ablehnungen der Kamera"),
    ("repeated_chunks", "Pieces that came twice", "Doppelte Bildteile"),
    ("repeated_results", "Answers sent again", "Wiederholte Antworten"),
    ("repeats", "Requests sent again", "Wiederholte Anfragen"),
    ("resumed_frames", "Images resumed", "Fortgesetzte Bilder"),
    ("resyncs", "Connections begun again", "Neu begonnene Verbindungen"),
    ("script_starts", "Starts of the script", "Starts des Skripts"),
    ("sequence", "Requests out of order", "Anfragen außer der Reihe"),
    ("skipped_bytes", "Bytes passed over", "Übergangene Bytes"),
    ("skipped_frames", "Images passed over", "Übersprungene Bilder"),
    ("timeouts", "Answers that were late", "Verspätete Antworten"),
    ("unexpected", "Packets not expected", "Unerwartete Pakete"),
    ("unsent", "Packets not sent", "Nicht gesendete Pakete"),
    ("unwritable", "Files not handed back", "Nicht zurückgegebene Dateien"),
];

const STAGES: [Entry; 3] =
    [("wait", "Waiting", "Warten"), ("decode", "Decoding", "Dekodieren"), ("judge", "Judging", "Beurteilen")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once_and_has_words_in_both_languages() {
        for (_, kind) in Kind::FILTERS {
            for (name, english, german) in kind.entries() {
                assert_eq!(kind.entries().iter().filter(|(other, ..)| other == name).count(), 1, "{kind:?} {name}");
                assert!(!english.contains('_') && !german.contains('_'), "{kind:?} {name}");
                assert!(!english.is_empty() && !german.is_empty() && english != german, "{kind:?} {name}");
            }
        }
    }

    #[test]
    fn a_name_means_something_of_its_kind_only() {
        assert_eq!(Kind::Reason.words("too_dark", Language::German).unwrap()[..22], *"Das Bild ist zu dunkel");
        assert_eq!(Kind::Gate.words("sharpness", Language::German), Some("Schärfe"));
        assert_eq!(Kind::Stage.words("sharpness", Language::English), None);
    }
}
