//! Changes of the models as the audit log has them.

use remedis_slots::{Change, Named, Override};
use remedis_store::Event;

/// What the audit log says of a change; nothing where behaviour stays the same.
pub fn event(change: &Change) -> Option<Event> {
    let parts = |Named { digest, name, version }: &Named| (digest.as_str().to_owned(), name.clone(), version.clone());
    Some(match change {
        Change::Installed { model, overrides, .. } => {
            let (digest, name, version) = parts(model);
            Event::BundleInstalled { digest, name, version, overrides: names(overrides) }
        }
        Change::Activated { model, overrides, .. } => {
            let (digest, name, version) = parts(model);
            Event::BundleActivated { digest, name, version, overrides: names(overrides) }
        }
        Change::RolledBack { from, to, reason, .. } => {
            let (digest, name, version) = parts(to);
            Event::BundleRolledBack { digest, name, version, reason: format!("from {from}: {reason}") }
        }
        Change::Retired { model, reason, .. } => {
            let (digest, name, version) = parts(model);
            Event::BundleRefused { digest, name, version, reason: reason.clone() }
        }
        Change::Refused { model, reason, .. } => {
            let (digest, name, version) = model.as_ref().map(parts).unwrap_or_default();
            Event::BundleRefused { digest, name, version, reason: reason.clone() }
        }
        Change::Removed { digest } => Event::OperatorAction { what: format!("removed model {}", digest.as_str()) },
        _ => return None,
    })
}

fn names(overrides: &[Override]) -> Vec<String> {
    overrides.iter().map(|which| which.name().to_owned()).collect()
}
