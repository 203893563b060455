//! German.

use super::{Alarms, Links, Live, Reasons, Remedy, Results, Said, Severities, Status, Texts, Titles, Trend, Verdicts};

pub(super) const TEXTS: Texts = Texts {
    decimal_mark: ',',
    titles: Titles { live: "Live", results: "Ergebnisse", trend: "Verlauf", status: "Status", alarms: "Alarme" },
    links: Links {
        waiting: "wartet",
        connected: "verbunden",
        receiving: "empfängt",
        lost: "getrennt",
        no_source: "keine Quelle",
    },
    verdicts: Verdicts {
        ready: "BEREIT",
        working: "WERTET AUS",
        cannot_say: "KEINE AUSSAGE",
        unreadable: "UNLESBAR",
        fault: "STÖRUNG",
    },
    reasons: Reasons {
        low_confidence: Said { short: "zu unsicher", sentence: "Das Modell ist nicht sicher genug." },
        blurred: Said { short: "unscharf", sentence: "Das Bild ist unscharf. Scharf stellen und neu aufnehmen." },
        too_dark: Said { short: "zu dunkel", sentence: "Das Bild ist zu dunkel. Mehr Licht oder länger belichten." },
        too_bright: Said { short: "zu hell", sentence: "Das Bild ist zu hell. Weniger Licht oder kürzer belichten." },
        saturated: Said { short: "übersteuert", sentence: "Teile des Bildes sind übersteuert. Kürzer belichten." },
        wrong_geometry: Said {
            short: "falsches Format",
            sentence: "Größe oder Form des Bildes passt nicht zum Modell.",
        },
        out_of_distribution: Said { short: "ungewohnt", sentence: "Das Bild gleicht den Trainingsbildern nicht." },
        unreadable: Said { short: "unlesbar", sentence: "Das Bild ist nicht lesbar. Bitte neu senden." },
        model_fault: Said { short: "Modellfehler", sentence: "Das Modell hat versagt. Siehe Alarme." },
    },
    live: Live {
        old_result: "ALTES ERGEBNIS",
        nearest: "am nächsten:",
        needed: "nötig:",
        no_image_yet: "noch kein Bild",
        no_picture: "keine Ansicht",
        relevance: "Relevanz",
        answers: "Antworten",
        skipped: "ausgelassen",
        on_trial: "AUF PROBE",
        no_model: "kein Modell",
    },
    results: Results { newest_first: "neueste zuerst", of: "von", none_yet: "noch keine Antworten" },
    trend: Trend {
        per_minute: "Antworten je Minute",
        per_hour: "Antworten je Stunde",
        per_day: "Antworten je Tag",
        class: "Klasse",
        cannot_say: "keine Aussage",
        unreadable: "unlesbar",
        coverage: "mit Klasse",
        none: "keine Antworten",
    },
    status: Status {
        images: "Bilder",
        errors: "Fehler",
        store: "Speicher",
        writable: "arbeitet",
        not_writable: "gestört",
        disk_free: "Platz frei",
        model: "Modell",
        version: "Version",
        digest: "Prüfsumme",
        temperature: "Temperatur",
        clock: "Uhr",
        not_set: "nicht gestellt",
        uptime: "läuft seit",
        language: "Sprache",
        software: "Software",
        unknown: "unbekannt",
    },
    severities: Severities { critical: "KRITISCH", warning: "WARNUNG", notice: "HINWEIS" },
    alarms: Alarms {
        none: "Keine Alarme",
        since: "seit",
        more: "weitere",
        source_lost: Remedy {
            what: "Verbindung zum Gerät getrennt",
            to_do: "Kabel und Strom prüfen. Die Verbindung kommt von selbst wieder.",
        },
        source_noisy: Remedy {
            what: "Viele Übertragungsfehler",
            to_do: "Kabel prüfen, von Stromleitungen fernhalten oder Baudrate senken.",
        },
        disk_full: Remedy {
            what: "Datenträger voll: keine Annahme",
            to_do: "Platz schaffen oder Antworten kürzer aufbewahren.",
        },
        disk_read_only: Remedy {
            what: "Datenträger nicht beschreibbar",
            to_do: "Daten sichern, dann den Datenträger ersetzen.",
        },
        store_fault: Remedy {
            what: "Antworten nicht speicherbar",
            to_do: "Neu starten. Wenn es bleibt, den Kundendienst rufen.",
        },
        audit_broken: Remedy {
            what: "Protokoll wurde verändert",
            to_do: "Gerät nicht mehr benutzen und dem Verantwortlichen Bescheid geben.",
        },
        model_fault: Remedy {
            what: "Das Modell versagt",
            to_do: "Neu starten. Wenn es bleibt, zum letzten guten Modell zurückkehren.",
        },
        model_rolled_back: Remedy {
            what: "Letztes gutes Modell aktiv",
            to_do: "Das neuere hat versagt. Vor erneutem Einspielen prüfen lassen.",
        },
        no_model: Remedy { what: "Kein Modell", to_do: "Ein Modell einspielen und aktivieren." },
        clock_jumped: Remedy {
            what: "Die Uhr ist gesprungen",
            to_do: "Datum und Zeit prüfen. Zeiten der Antworten können falsch sein.",
        },
        clock_not_set: Remedy {
            what: "Die Uhr ist nicht gestellt",
            to_do: "Datum und Zeit stellen oder Zeitserver verbinden.",
        },
        overheated: Remedy { what: "Zu heiß", to_do: "Lüftung freimachen und das Gerät abkühlen lassen." },
        out_of_memory: Remedy {
            what: "Arbeitsspeicher erschöpft",
            to_do: "Neu starten. Wenn es wieder geschieht, den Kundendienst rufen.",
        },
        overloaded: Remedy {
            what: "Bilder werden ausgelassen",
            to_do: "Sie kommen schneller als die Auswertung. Bildrate senken.",
        },
        hanging: Remedy {
            what: "Ein Teil kommt nicht voran",
            to_do: "Das Gerät startet selbst neu. Wenn es wieder geschieht, den Kundendienst rufen.",
        },
        disk_low: Remedy { what: "Wenig Speicherplatz", to_do: "Antworten sichern oder weniger Tage aufbewahren." },
        display_lost: Remedy { what: "Eine Anzeige nimmt keine Seiten an", to_do: "Kabel und Einstellungen prüfen." },
        stopped: Remedy {
            what: "Das Gerät ist angehalten",
            to_do: "Kein Bild wird ausgewertet. Neu starten oder den Kundendienst rufen.",
        },
    },
};
