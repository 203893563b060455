//! `cargo xtask cross`: static aarch64 programs and their golden vectors, and the integer engine on 64 and 32 bits.
//!
//! The toolchain is private and needs no root (`tools/cross/sysroot.sh`, from Debian packages). The emulator shows that
//! the answers are right on ARM; it says nothing about speed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::{self, Outcome, capture, execute, is_installed, root};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const PROGRAMS: [&str; 2] = ["remedis", "remedis-device"];
const TARGET_32: &str = "armv7-unknown-linux-gnueabihf";
/// From an old in-order core without dot product to a newer one with it, one with everything that the emulator knows (the matrix
/// product among it), and one of 32 bits: different kernels run.
const EMULATED: [Emulated; 4] = [
    Emulated { cpu: "cortex-a53", target: TARGET, emulator: "qemu-aarch64-static" },
    Emulated { cpu: "cortex-a76", target: TARGET, emulator: "qemu-aarch64-static" },
    Emulated { cpu: "max", target: TARGET, emulator: "qemu-aarch64-static" },
    Emulated { cpu: "cortex-a15", target: TARGET_32, emulator: "qemu-arm-static" },
];

/// A processor that the engine's tests run on.
struct Emulated {
    cpu: &'static str,
    target: &'static str,
    emulator: &'static str,
}

/// Arguments of `cargo xtask cross`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build what ships (full optimisation, slow) instead of what is quick to test
    #[arg(long)]
    release: bool,
    /// Run the golden vectors of this bundle on the built programs [default: the last demo's]
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// Public key that signed the bundle [default: the one beside it]
    #[arg(long)]
    key: Option<PathBuf>,
}

impl Args {
    /// As `cargo xtask check` calls it.
    pub(crate) fn for_check(bundle: PathBuf) -> Self {
        Self { release: false, bundle: Some(bundle), key: None }
    }
}

/// Build both programs for aarch64 and run the golden vectors of a bundle on them.
///
/// # Errors
/// If the build fails, a program is not static, or a golden vector does not come back.
pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let Some(toolchain) = toolchain()? else {
        return Ok(Outcome::skipped(
            "this machine cannot unpack Debian packages (apt-get and dpkg are needed for the ARM toolchain)",
        ));
    };
    let programs = build(&toolchain, args.release)?;
    for program in &programs {
        check_static(program)?;
        let size = std::fs::metadata(program)?.len();
        println!("{} ({:.1} MB, static aarch64)", program.display(), size as f64 / 1e6);
    }
    let Some(bundle) =
        args.bundle.clone().or_else(|| Some(root().join("out/run/bundle.remedis")).filter(|at| at.exists()))
    else {
        return Ok(Outcome::skipped("no bundle to test with: run `cargo xtask demo` first, or name one with --bundle"));
    };
    if let Some(absent) = EMULATED.iter().map(|emulated| emulated.emulator).find(|emulator| !is_installed(emulator)) {
        let reason = format!("{absent} is not installed (Debian: apt-get install qemu-user-static)");
        return Ok(Outcome::skipped(reason));
    }
    for emulated in &EMULATED {
        let cpu = emulated.cpu;
        test(&toolchain, emulated, &["--lib", "--tests", "-p", "remedis-kernels", "-p", "remedis-plan"])
            .with_context(|| format!("the integer engine on an emulated {cpu}"))?;
        println!("{cpu}: kernels, plans and whole networks give the bits of x86-64");
    }
    for emulated in EMULATED.iter().filter(|emulated| emulated.cpu != "max" && emulated.cpu != "cortex-a53") {
        let cpu = emulated.cpu;
        test(&toolchain, emulated, &["--test", "pictures", "-p", "remedis-screen"])
            .with_context(|| format!("the pages of the screen on an emulated {cpu}"))?;
        println!("{cpu}: the pages of the screen have the pixels of x86-64");
    }
    let key = args.key.clone().unwrap_or_else(|| bundle.with_file_name("keys").join("signing.pub"));
    for Emulated { cpu, emulator, .. } in EMULATED.iter().filter(|emulated| emulated.target == TARGET) {
        let mut emulator = Command::new(emulator);
        emulator.args(["-cpu", cpu]).arg(&programs[0]).args(["bundle", "verify"]).arg(&bundle).arg("--key").arg(&key);
        let said = capture(&mut emulator).with_context(|| format!("golden vectors on an emulated {cpu}"))?;
        println!("{cpu}: {}", said.trim().lines().last().unwrap_or_default());
    }
    Ok(Outcome::Passed)
}

/// The folder of the ARM toolchain, unpacked now if it is not there yet; `None` where that cannot be done.
fn toolchain() -> Result<Option<PathBuf>> {
    let folder = step::cache().join("cross");
    let names = |target: &str| format!("CARGO_TARGET_{}_LINKER", upper(target));
    let described = std::fs::read_to_string(folder.join("env.sh")).unwrap_or_default();
    if [TARGET, TARGET_32].iter().any(|target| !described.contains(&names(target))) {
        if !(is_installed("apt-get") && is_installed("dpkg")) {
            return Ok(None);
        }
        println!("unpacking the ARM toolchain into {} (about 350 MB and 3 CPU-minutes, once)", folder.display());
        let mut sysroot = Command::new("bash");
        sysroot.arg(root().join("tools/cross/sysroot.sh")).arg(&folder).args([TARGET, TARGET_32]);
        execute(sysroot.current_dir(root()))?;
    }
    Ok(Some(folder))
}

fn build(toolchain: &Path, release: bool) -> Result<Vec<PathBuf>> {
    let profile = if release { "release" } else { "quick" };
    let target_folder = step::target()?.join("cross");
    let mut command = cross_cargo(toolchain, &target_folder);
    command.args(["build", "--target", TARGET, "--profile", profile]);
    command.args(["-p", "remedis-cli", "-p", "remedis-device", "--bins"]);
    execute(&mut command)?;
    let folder = target_folder.join(TARGET).join(profile);
    Ok(PROGRAMS.iter().map(|program| folder.join(program)).collect())
}

/// Cargo with the ARM toolchain, which describes itself in a shell file: a shell reads it and then becomes cargo.
fn cross_cargo(toolchain: &Path, target_folder: &Path) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-c", ". \"$0\" && exec \"$@\""])
        .arg(toolchain.join("env.sh"))
        .arg(std::env::var("CARGO").as_deref().unwrap_or("cargo"))
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target_folder)
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Tests on an emulated processor; documentation tests need a toolchain that this one has not.
fn test(toolchain: &Path, emulated: &Emulated, which: &[&str]) -> Result<()> {
    let Emulated { cpu, target, emulator } = emulated;
    let mut command = cross_cargo(toolchain, &step::target()?.join("cross"));
    command
        .args(["test", "-q", "--target", target, "--profile", "quick"])
        .args(which)
        .env(format!("CARGO_TARGET_{}_RUNNER", upper(target)), format!("{emulator} -cpu {cpu}"))
        .env("PROPTEST_CASES", "40");
    execute(&mut command)
}

/// A target as the names of cargo's variables have it.
fn upper(target: &str) -> String {
    target.to_uppercase().replace('-', "_")
}

/// An ELF file for aarch64 without an interpreter: nothing of the device's own libraries is needed.
fn check_static(program: &Path) -> Result<()> {
    const MACHINE_AARCH64: u16 = 0xB7;
    const SEGMENT_INTERPRETER: u32 = 3;
    let bytes = std::fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let short = |at: usize| bytes.get(at..at + 2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let header = (bytes.get(..5) == Some(b"\x7fELF\x02")).then_some(()).and_then(|()| short(18));
    if header != Some(MACHINE_AARCH64) {
        bail!("{} is not a 64-bit ARM program", program.display());
    }
    let table = bytes.get(32..40).and_then(|raw| raw.try_into().ok()).map_or(0, u64::from_le_bytes) as usize;
    let (size, count) = (short(54).unwrap_or(0) as usize, short(56).unwrap_or(0) as usize);
    let is_interpreter = |index: usize| {
        let at = table + index * size;
        bytes.get(at..at + 4).and_then(|raw| raw.try_into().ok()).map(u32::from_le_bytes) == Some(SEGMENT_INTERPRETER)
    };
    if (0..count).any(is_interpreter) {
        bail!("{} is not static: it asks for a dynamic loader", program.display());
    }
    Ok(())
}
