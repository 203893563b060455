//! The words of the pages, in both languages side by side.

use crate::Language;
use serde::Serialize;

/// Declares one field and both of its texts in one line, so that neither language can lack one.
macro_rules! texts {
    ($($name:ident: $english:literal, $german:literal;)*) => {
        /// Every text that the pages hold.
        #[derive(Debug, Serialize)]
        pub(crate) struct Texts { $(pub(super) $name: &'static str,)* }

        const ENGLISH: Texts = Texts { $($name: $english,)* };
        const GERMAN: Texts = Texts { $($name: $german,)* };

        #[cfg(test)]
        const PAIRS: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $german),)*];
    };
}

texts! {
    language_name: "English", "Deutsch";
    status: "Status", "Status";
    results: "Results", "Ergebnisse";
    trend: "Trend", "Verlauf";
    log_in: "Log in", "Anmelden";
    log_out: "Log out", "Abmelden";
    token: "Token", "Token";
    token_hint: "32 letters and digits, with or without dashes", "32 Buchstaben und Ziffern, mit oder ohne Striche";
    token_lost: "Lost? Whoever looks after the device can make a new one.", "Verloren? Wer das Gerät betreut, kann ein neues erzeugen.";
    token_wrong: "This token is not right.", "Dieses Token stimmt nicht.";
    token_wait: "Too many wrong tokens. Try again in", "Zu viele falsche Token. Neuer Versuch möglich in";
    no_login_from_scripts: "No result is shown without it.", "Ohne Token werden keine Ergebnisse gezeigt.";
    as_of: "As of", "Stand";
    newest: "Newest result", "Neuestes Ergebnis";
    none_yet: "No image has been answered yet.", "Noch kein Bild wurde beantwortet.";
    stale: "OLD: not the present image", "ALT: nicht das aktuelle Bild";
    cannot_say: "Cannot say", "Keine Aussage";
    unreadable: "Unreadable", "Nicht lesbar";
    confidence: "Confidence", "Sicherheit";
    threshold: "Threshold", "Schwelle";
    nearest: "Nearest class", "Nächstliegende Klasse";
    probabilities: "Probabilities", "Wahrscheinlichkeiten";
    picture: "Image", "Bild";
    heat_map: "Heat-map", "Wärmebild";
    no_picture: "Image not kept", "Bild nicht aufbewahrt";
    no_heat_map: "No heat-map", "Kein Wärmebild";
    no_alarm: "No alarm", "Keine Meldung";
    severity_warning: "Warning", "Warnung";
    severity_failure: "Failure", "Störung";
    since: "since", "seit";
    sources: "Sources", "Quellen";
    no_source: "No source is configured.", "Keine Quelle eingerichtet.";
    state_waiting: "Waiting", "Wartet";
    state_connected: "Connected", "Verbunden";
    state_receiving: "Receiving", "Empfängt";
    state_lost: "Lost", "Getrennt";
    model: "Model", "Modell";
    no_model: "No model answers.", "Kein Modell antwortet.";
    version: "Version", "Version";
    digest: "Digest", "Prüfsumme";
    store: "Store", "Speicher";
    records: "Answers kept", "Aufbewahrte Antworten";
    used: "Used", "Belegt";
    writable: "Writable", "Beschreibbar";
    yes: "Yes", "Ja";
    no: "NO", "NEIN";
    disk_free: "Disk free", "Frei auf dem Datenträger";
    of: "of", "von";
    device: "Device", "Gerät";
    temperature: "Temperature", "Temperatur";
    memory: "Memory", "Arbeitsspeicher";
    uptime: "Running for", "Läuft seit";
    clock: "Clock", "Uhr";
    clock_not_set: "not set: do not trust times", "nicht gestellt: Zeiten sind unsicher";
    software: "Software", "Programm";
    unknown: "unknown", "unbekannt";
    result: "Result", "Ergebnis";
    no_results: "No results.", "Keine Ergebnisse.";
    older: "Older", "Ältere";
    to_newest: "Newest", "Neueste";
    all_results: "All results", "Alle Ergebnisse";
    source: "Source", "Quelle";
    decided: "Until decided", "Bis zur Entscheidung";
    trace: "How it came about", "Wie es dazu kam";
    image_arrived: "Image as it arrived", "Bild wie eingetroffen";
    pixels: "pixels", "Bildpunkte";
    preprocessing: "Preparation", "Vorbereitung";
    bundle: "Bundle", "Modellpaket";
    plan: "Executed by", "Ausgeführt von";
    skipped: "Frames passed over", "Übersprungene Bilder";
    gates: "Checks", "Prüfungen";
    found: "Found", "Gefunden";
    asked: "Asked for", "Verlangt";
    at_least: "at least", "mindestens";
    at_most: "at most", "höchstens";
    to: "to", "bis";
    in_its_words: "Reason as kept", "Grund wie aufbewahrt";
    passed: "passed", "bestanden";
    not_passed: "NOT PASSED", "NICHT BESTANDEN";
    stages: "Times", "Zeiten";
    answers_over_time: "Answers over time", "Antworten im Verlauf";
    each_bar: "One bar", "Ein Balken";
    kind: "Answer", "Antwort";
    number: "Number", "Anzahl";
    share: "Share", "Anteil";
    total: "All", "Alle";
    other_classes: "Other classes", "Andere Klassen";
    latency_over_time: "Time to answer, since the device started", "Antwortzeit, seit das Gerät läuft";
    half: "50 of 100 answers are quicker", "50 von 100 Antworten sind schneller";
    ninety_five: "95 of 100 answers are quicker", "95 von 100 Antworten sind schneller";
    problem_400: "This request cannot be understood.", "Diese Anfrage ist nicht verständlich.";
    problem_401: "Log in first.", "Bitte zuerst anmelden.";
    problem_403: "This form was sent from another site.", "Dieses Formular kam von einer anderen Seite.";
    problem_404: "There is no such page.", "Diese Seite gibt es nicht.";
    problem_405: "This cannot be done here.", "Das ist hier nicht möglich.";
    problem_421: "This device does not go by that name. Ask for it by a name it is configured with.", "Unter diesem Namen ist das Gerät nicht eingerichtet. Bitte einen eingerichteten Namen verwenden.";
    problem_429: "Too many requests. Wait a moment.", "Zu viele Anfragen. Bitte einen Moment warten.";
    problem_503: "The device cannot show this now. Try again in a moment.", "Das Gerät kann das gerade nicht zeigen. Bitte gleich noch einmal versuchen.";
    problem_other: "This did not work.", "Das hat nicht funktioniert.";
    back: "Back to the status page", "Zurück zum Status";
}

impl Texts {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    /// What a status of HTTP means for the reader.
    pub(super) fn problem(&self, status: u16) -> &'static str {
        match status {
            400 => self.problem_400,
            401 => self.problem_401,
            403 => self.problem_403,
            404 => self.problem_404,
            405 => self.problem_405,
            421 => self.problem_421,
            429 => self.problem_429,
            503 => self.problem_503,
            _ => self.problem_other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_empty_or_left_untranslated() {
        let same = ["status", "token", "version"];
        for (name, english, german) in PAIRS {
            assert!(!english.trim().is_empty() && !german.trim().is_empty(), "{name}");
            assert!(english != german || same.contains(name), "{name}");
        }
    }

    #[test]
    fn every_text_is_used_by_a_page() {
        let templates = super::super::TEMPLATES.map(|(_, source)| source).concat();
        // Used from code: by name of the language, by kind of answer, by status.
        let code = ["language_name", "other_classes"];
        for (name, ..) in PAIRS {
            let is_used =
                templates.contains(&format!("t.{name}")) || code.contains(name) || name.starts_with("problem_");
            let is_by_key = ["severity_", "state_"].iter().any(|prefix| name.starts_with(prefix));
            assert!(is_used || is_by_key, "{name} is on no page");
        }
    }
}
