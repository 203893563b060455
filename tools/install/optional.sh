#!/usr/bin/env bash
# Installs what `cargo xtask check` uses when it is there and names as skipped when it is not:
#   an ARM emulator and a browser (Debian), the Python test peers (PyPI), cargo-deny (the crate registry), the ARM cross toolchain,
#   nightly Rust and a C++ compiler for the sanitizer and for fuzzing, MPI for training by several processes.
# CI runs it; on a Debian machine you may too. Running it again installs only what is missing.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
cache="${REMEDIS_CACHE:-$HOME/.cache/remedis}"
mkdir -p "$cache"
if ! command -v qemu-aarch64-static >/dev/null || ! command -v c++ >/dev/null || ! command -v chromium >/dev/null; then
  if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
  $sudo apt-get update -qq
  $sudo apt-get install -y -qq qemu-user-static g++ chromium </dev/null
fi
rustup toolchain list | grep -Eq '^nightly(-[^2]|$| )' || rustup toolchain install nightly --profile minimal
bash "$here/install/mpi.sh"
bash "$here/peers/install-peers.sh" "$cache/peers"
# A debug build of cargo-deny compiles in a third of the time and checks a licence list just as well.
command -v cargo-deny >/dev/null || cargo install --quiet --locked --debug cargo-deny --version 0.20.2 --target-dir "$cache/deny-build"
rm -rf "$cache/deny-build"
# The 32-bit standard library is compiled here, once: 3 CPU-minutes.
grep -qs CARGO_TARGET_ARMV7 "$cache/cross/env.sh" ||
  bash "$here/cross/sysroot.sh" "$cache/cross" aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf
