//! The reader of bundles, behind its signature: the holder of a key may be wrong, or robbed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use remedis_bundle::{Bundle, Parts, SigningKey, TrustedKeys};

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().expect("the system has randomness"));
static TRUSTED: LazyLock<TrustedKeys> =
    LazyLock::new(|| TrustedKeys::from_texts(&[KEY.public_key()]).expect("a key of our own can be read"));

fuzz_target!(|data: &[u8]| {
    drop(Parts::split(data));
    drop(TrustedKeys::from_texts(&[String::from_utf8_lossy(data)]));
    // The data is the manifest if it looks like one, and else everything that is signed. Signing is most of the work here.
    let payload = if data.starts_with(b"{") { remedis_fuzz::payload(data) } else { data.to_vec() };
    // Sealing opens what it sealed.
    if let Ok(bytes) = KEY.seal(&payload) {
        let bundle = Bundle::from_bytes(&bytes, &TRUSTED).expect("what opened once opens again");
        assert!(bundle.sections().all(|(name, length)| bundle.section(name).unwrap().len() == length));
        assert!(bundle.section(&bundle.manifest().model.section) == Some(bundle.model()));
    }
});
