//! The verb `token`, as an operator gives it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use remedis_web::{Token, TokenDigest};
use std::path::Path;
use std::process::{Command, Output};

fn token(file: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_remedis-device")).arg("token").arg(file).args(more).output().unwrap()
}

/// What was said beside the token, which opens what `file` keeps the hash of.
fn said(output: &Output, file: &Path) -> String {
    assert!(output.status.success(), "{output:?}");
    let shown = Token::parse(std::str::from_utf8(&output.stdout).unwrap().trim()).unwrap();
    let kept: TokenDigest = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
    assert_eq!(shown.digest().to_string(), kept.to_string());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_token_is_replaced_only_when_asked_for_and_then_until_when_the_old_one_opens_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.token");
    let first = said(&token(&file, &[]), &file);
    assert!(first.starts_with("write the token down") && !first.contains("restart"), "{first}");
    let kept = std::fs::read(&file).unwrap();

    let refused = token(&file, &[]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert_eq!(std::fs::read(&file).unwrap(), kept);

    let replaced = said(&token(&file, &["--replace"]), &file);
    assert!(replaced.contains("restart the device: until then the old token opens it"), "{replaced}");
    assert_ne!(std::fs::read(&file).unwrap(), kept);
}
