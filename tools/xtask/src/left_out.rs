//! Tests that leave themselves out for want of something outside the workspace. Cargo shows nothing of what passing tests say, so they
//! are named here; in CI they fail by themselves.

use std::path::Path;
use std::process::Command;

use crate::step;

/// What of the tests is left out on this machine, each with what it lacks.
pub(crate) fn of_tests(peers: &Path) -> Vec<String> {
    let browser = (!step::is_installed("chromium"))
        .then(|| "pages in a browser: no chromium is on the path (tools/install/optional.sh)".to_owned());
    let data = std::env::var_os("REMEDIS_DATA")
        .is_none()
        .then(|| "real images and weights: REMEDIS_DATA does not name their folder".to_owned());
    let disks = (!succeeds("unshare".as_ref(), &["-rm", "true"]))
        .then(|| "disks that fail: nobody may mount one in a namespace of their own (unshare -rm)".to_owned());
    let python = (!step::is_installed("python3"))
        .then(|| "the link beside hardware that is not ours: no python3 is on the path".to_owned());
    [browser, without_peers(peers), python, data, disks].into_iter().flatten().collect()
}

fn without_peers(peers: &Path) -> Option<String> {
    let python = peers.join("bin/python");
    let (part, lacks) = if !python.exists() {
        ("engine and camera beside others'", "no Python")
    } else if !succeeds(&python, &["-c", "import openmv, serial"]) {
        ("the camera's side beside OpenMV's client", "no such client")
    } else {
        return None;
    };
    Some(format!("{part}: {lacks} in {} (tools/peers/install-peers.sh)", peers.display()))
}

fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|said| said.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_that_are_not_there_are_named() {
        let told = of_tests(Path::new("/nowhere"));
        let of_peers: Vec<&String> = told.iter().filter(|line| line.contains("peers")).collect();
        let expected = "engine and camera beside others': no Python in /nowhere (tools/peers/install-peers.sh)";
        assert_eq!(of_peers, [expected]);
    }
}
