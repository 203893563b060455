//! A device's settings: any text is either refused in words or understood, and what is understood can be explained.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remedis_settings::Config;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text) {
        Ok(config) => assert!(!config.explain().is_empty()),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
});
