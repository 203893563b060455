//! What the tests stand on: genuine bundles, and a disk that loses power.

pub(crate) mod bundles;
pub(crate) mod disk;
pub(crate) mod scenario;

use disk::SimulatedDisk;
use remedis_bundle::Bundle;
use remedis_slots::{Role, Slots};

/// Everything of a folder that decides what a device does: its pointer, and which bundles are genuine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct View {
    pub(crate) pointer: Option<String>,
    pub(crate) genuine: Vec<(String, Role)>,
}

pub(crate) fn view(slots: &Slots<SimulatedDisk>, disk: &SimulatedDisk) -> View {
    let listed = slots.list().unwrap();
    let genuine = listed.into_iter().filter(|slot| slot.content.is_ok());
    let pointer = disk.content("state.json").map(|bytes| String::from_utf8(bytes).unwrap());
    View { pointer, genuine: genuine.map(|slot| (slot.digest.to_string(), slot.role)).collect() }
}

pub(crate) fn open(disk: &SimulatedDisk) -> Slots<SimulatedDisk> {
    Slots::on(disk.clone(), bundles::trusted()).unwrap()
}

/// A proof that every genuine bundle passes, and that names what it was given.
pub(crate) fn fit(bundle: &Bundle) -> Result<String, String> {
    bundles::assert_genuine(bundle);
    Ok(bundle.digest().to_owned())
}
