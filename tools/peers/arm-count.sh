#!/usr/bin/env bash
# Counts the ARM instructions that our engine retires for one answer, without ARM hardware, and checks that every emulated
# processor gives the same bytes as this one.
#
#   tools/peers/arm-count.sh MODELS [cpu ...]        e.g. tools/peers/arm-count.sh models cortex-a72 cortex-a76
#
# MODELS holds NAME_SIZE_*qdq*.onnx and in_SIZE.npy. Instructions are work done, not cycles: a core may retire four in a cycle or
# wait a hundred cycles for one. Counts repeat exactly. The emulator with plugins is Debian's dynamic qemu-user, unpacked
# into ~/.cache/remedis/count without root; the toolchain is that of `cargo xtask cross`.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
models=$(cd "${1:?usage: arm-count.sh MODELS [cpu ...]}" && pwd); shift
cpus=("$@"); [ ${#cpus[@]} -gt 0 ] || cpus=(cortex-a53 cortex-a72 cortex-a76)
here=${XDG_CACHE_HOME:-$HOME/.cache}/remedis/count
mkdir -p "$here"
if [ ! -x "$here/usr/bin/qemu-aarch64" ]; then
  (cd "$here" && apt-get -qq download qemu-user libcapstone4 && for deb in *.deb; do dpkg -x "$deb" .; done)
fi
gcc -shared -fPIC -O2 -o "$here/libcount.so" "$root/tools/peers/count.c"
cd "$root"
cargo build -q --release --example infer -p remedis-plan
here_program=${CARGO_TARGET_DIR:-target}/release/examples/infer
# shellcheck disable=SC1091
(. "${HOME}/.cache/remedis/cross/env.sh" && CARGO_TARGET_DIR="$here/target" \
  cargo build -q --release --example infer -p remedis-plan --target aarch64-unknown-linux-gnu)
program=$here/target/aarch64-unknown-linux-gnu/release/examples/infer
printf 'static program: %.2f MB\n' "$(awk "BEGIN{print $(stat -c %s "$program")/1e6}")"
emulated() { # emulated CPU MODEL INPUT RUNS OUTPUT: instructions of the whole process
  LD_LIBRARY_PATH="$here/usr/lib/x86_64-linux-gnu" "$here/usr/bin/qemu-aarch64" -cpu "$1" -plugin "$here/libcount.so" \
    "$program" "$2" "$3" "$4" "$5" 2>&1 | sed -n 's/^instructions=//p'
}
printf '%-12s %-32s %16s  %s\n' cpu model 'M instructions' bytes
for model in "$models"/*_qdq_s8s8_pc.onnx; do
  name=$(basename "$model" .onnx); size=${name#*_}; input=$models/in_${size%%_*}.npy
  "$here_program" "$model" "$input" 1 "$here/native.npy" > "$here/native.txt"
  for cpu in "${cpus[@]}"; do
    once=$(emulated "$cpu" "$model" "$input" 1 "$here/arm.npy")
    thrice=$(emulated "$cpu" "$model" "$input" 3 "$here/arm.npy")
    same=$(cmp -s "$here/native.npy" "$here/arm.npy" && echo same || echo DIFFERENT)
    printf '%-12s %-32s %16.2f  %s\n' "$cpu" "$name" "$(awk "BEGIN{print ($thrice-$once)/2e6}")" "$same"
  done
done
