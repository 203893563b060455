//! What the audit log is told at a start: the settings and keys in force, and what differs from the last run.

use crate::pipeline::judge::hexadecimal;
use remedis_settings::Config;
use remedis_store::{Event, InForce, Values};
use sha2::{Digest, Sha256};

/// The settings, always; the keys, where they are not those of `before`.
pub(crate) fn events(config: &Config, before: &InForce) -> Vec<Event> {
    let lines = config.explain();
    // Without the meanings: a sentence of ours that reads better is no change of the configuration.
    let values: Vec<(String, String)> = lines.into_iter().map(|line| (line.setting, line.value)).collect();
    let digest = hexadecimal(&Sha256::digest(serde_json::json!(values).to_string()));
    let settings: Values = values.into_iter().collect();
    let keys = before.keys.changes(&keys(config));
    let configuration = Event::Configuration { digest, changed: before.settings.changes(&settings) };
    let keys = (!keys.is_empty()).then_some(Event::KeyChanged { changed: keys });
    [configuration].into_iter().chain(keys).collect()
}

/// What opens the device to bundles and people, by file. One that cannot be read opens nothing.
fn keys(config: &Config) -> Values {
    let files = config.trusted_keys.iter().chain(config.web.as_ref().map(|web| &web.token));
    let fingerprint = |bytes: Vec<u8>| hexadecimal(&Sha256::digest(bytes));
    files.filter_map(|path| Some((path.display().to_string(), fingerprint(std::fs::read(path).ok()?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::run::Device;
    use serde_json::{Value, json};
    use std::fs;
    use std::path::Path;

    /// What a start of a device with these sections beside its journals' writes down.
    fn started(folder: &Path, sections: &str) -> Vec<Value> {
        let text = format!(
            "bundle = 'b'\ntrusted_keys = ['k']\n[journal]\nanswers = 'answers.sqlite'\naudit = 'audit.log'\n{sections}"
        );
        let [settings, audit] = ["device.toml", "audit.log"].map(|name| folder.join(name));
        fs::write(&settings, text).unwrap();
        let n_before = fs::read_to_string(&audit).unwrap_or_default().lines().count();
        Device::open(&Config::open(&settings).unwrap(), &Log::to(false, std::io::sink())).unwrap();
        let lines = fs::read_to_string(audit).unwrap();
        lines.lines().skip(n_before).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn the_audit_log_tells_which_settings_a_start_changed() {
        let folder = tempfile::tempdir().unwrap();
        let link = |baud| format!("[link]\nport = '/dev/ttyUSB0'\nbaud = {baud}\n");
        let changed = |sections: &str| started(folder.path(), sections)[1]["changed"].clone();
        let first = changed(&link(115_200));
        assert_eq!((&first["link.baud"], &first["[folder]"]), (&json!("115200"), &json!("left out")), "{first}");
        assert_eq!(changed(&link(115_200)), json!({}));
        assert_eq!(changed(&link(921_600)), json!({ "link.baud": "921600" }));
        let without = changed("[folder]\npath = 'inbox'\n");
        assert_eq!(without["[link]"], "left out", "{without}");
        assert_eq!(without.as_object().unwrap().get("link.baud"), Some(&Value::Null), "said to be gone: {without}");
    }

    #[test]
    fn the_audit_log_names_the_size_of_screen_and_panel() {
        let folder = tempfile::tempdir().unwrap();
        let changed = |width: u32, panel_height: u32| {
            let panel = format!("controller = 'ili9488'\nwidth = 320\nheight = {panel_height}");
            let panel = format!("[screen.spi]\ndevice = 'spi'\ndata_command = 25\n{panel}\n");
            let sections = format!("[folder]\npath = 'inbox'\n[screen]\nwidth = {width}\n{panel}");
            started(folder.path(), &sections)[1]["changed"].clone()
        };
        changed(800, 480);
        assert_eq!(changed(640, 480), json!({ "screen.width": "640" }));
        assert_eq!(changed(640, 400), json!({ "screen.spi.height": "400" }));
        assert_eq!(changed(640, 400), json!({}));
    }

    #[test]
    fn the_digest_is_of_settings_and_values_and_of_no_other_words() {
        let text =
            "bundle = 'b'\ntrusted_keys = ['k']\n[journal]\nanswers = 'a'\naudit = 'c'\n[folder]\npath = 'inbox'\n";
        let config = Config::parse(text).unwrap();
        let told = &events(&config, &InForce::default())[0];
        let Event::Configuration { digest, .. } = told else { panic!("{told:?}") };
        let values = r#"
            [["bundle","b"],["trusted_keys","k"],["plans","none"],["[models]","left out"],["[link]","left out"],
            ["[openmv]","left out"],["folder.path","inbox"],["folder.max_file_bytes","67108864"],["folder.look_every_s","5"],
            ["journal.answers","a"],["journal.audit","c"],["journal.max_age_days","none"],["journal.max_megabytes","none"],
            ["health.stale_after_s","300"],["health.heat_map_ms","500"],["health.min_free_megabytes","100"],
            ["health.max_celsius","85"],["health.thermometer","none"],["health.longest_answer_s","60"],
            ["[screen]","left out"],["[web]","left out"]]"#;
        let values: String = values.lines().map(str::trim).collect();
        assert_eq!(*digest, hexadecimal(&Sha256::digest(values)));
    }

    #[test]
    fn the_audit_log_tells_when_a_trusted_key_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let start = || started(folder.path(), "[folder]\npath = 'inbox'\n");
        let key = folder.path().join("k");
        let mut seen = vec![];
        for text in ["one", "another"] {
            fs::write(&key, text).unwrap();
            let events = start();
            assert_eq!(events[2]["event"], "key_changed", "{events:?}");
            seen.push(events[2]["changed"][key.to_str().unwrap()].as_str().unwrap().to_owned());
            assert_eq!(start().len(), 2, "the same key is no change");
        }
        assert_ne!(seen[0], seen[1]);
        fs::remove_file(&key).unwrap();
        assert_eq!(start()[2]["changed"], json!({ key.to_str().unwrap(): null }));
    }
}
