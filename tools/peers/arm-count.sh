#!/usr/bin/env bash
# Counts the ARM instructions that our engine and its peers retire for one answer, without ARM hardware, and checks that ours
# gives the same bytes as on this processor.
#
#   tools/peers/arm-count.sh MODELS [NAME_SIZE ...]        e.g. tools/peers/arm-count.sh models mbv2_96
#
# MODELS is what models.py made. CPUS="cortex-a53 cortex-a72 cortex-a76" says which processors to emulate, PEERS=no leaves the
# peers out. INSTRUCTIONS ARE NOT CYCLES: they are work done; a core may retire four in a cycle or wait a hundred cycles for one.
# Ours repeat exactly; a peer's start does not, by some ten millions, so its answers are counted over ten. Exit code: 0 all of ours
# within 0.90 of the best peer and the same bytes, 1 not.
#
# Everything is unpacked into ~/.cache/remedis/count without root: Debian's dynamic qemu-user (the static one has no plugins), and an
# arm64 Python with the peers' own aarch64 wheels. Peers read /proc/cpuinfo and /sys, which under qemu-user are the host's, and
# crash or choose wrong kernels: a made-up file is mapped over them. The toolchain is that of `cargo xtask cross`.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
models=$(cd "${1:?usage: arm-count.sh MODELS [NAME_SIZE ...]}" && pwd); shift
names=("$@"); [ ${#names[@]} -gt 0 ] || names=(mbv2_96 lite0_224 rn18_96)
read -ra cpus <<< "${CPUS:-cortex-a53 cortex-a72 cortex-a76}"
most=0.90
here=${XDG_CACHE_HOME:-$HOME/.cache}/remedis/count
mkdir -p "$here"

unpack() { # unpack ARCHITECTURE FOLDER PACKAGE...: downloads with an apt of its own, installs nothing
  local arch=$1 to=$2 apt=$here/apt-$1; shift 2
  [ -e "$to/.complete" ] && return
  mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$to"; : > "$apt/status"
  local sources=/etc/apt/sources.list.d/debian.sources; [ -f $sources ] || sources=/etc/apt/sources.list
  printf '%s\n' "Dir::State \"$apt/state\";" "Dir::State::status \"$apt/status\";" "Dir::Cache \"$apt/cache\";" \
    "Dir::Etc::sourcelist \"$sources\";" 'Dir::Etc::sourceparts "-";' "APT::Architecture \"$arch\";" \
    "APT::Architectures {\"$arch\";};" "APT::Sandbox::User \"$(id -un)\";" 'Acquire::Languages "none";' > "$apt/apt.conf"
  apt-get -qq -c "$apt/apt.conf" update
  (cd "$apt/debs" && apt-get -qq -c "$apt/apt.conf" download "$@")
  for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$to"; done
  touch "$to/.complete"
}

install_peers() {
  unpack arm64 "$here/arm64" python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libssl3 zlib1g libexpat1 \
    libffi8 libbz2-1.0 liblzma5 libsqlite3-0 libstdc++6 libgcc-s1 libuuid1 libgomp1
  if [ ! -e "$here/site/.complete" ]; then
    local platforms=() version
    for version in 2_28 2_27 2_24 2_17; do platforms+=(--platform "manylinux_${version}_aarch64"); done
    python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --implementation cp "${platforms[@]}" \
      --platform manylinux2014_aarch64 -d "$here/wheels" numpy onnxruntime ai-edge-litert ncnn protobuf flatbuffers
    for wheel in "$here"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$here/site"; done
    touch "$here/site/.complete"
  fi
  mkdir -p "$here/arm64/proc" "$here/arm64/sys/devices/system/cpu"
  for file in possible present online; do echo 0 > "$here/arm64/sys/devices/system/cpu/$file"; done
}

pretend() { # pretend CPU: /proc/cpuinfo of one such core
  local part features=""
  case $1 in
    cortex-a53) part=0xd03 ;;
    cortex-a72) part=0xd08 ;;
    cortex-a76) part=0xd0b features=" atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp" ;;
    *) echo "arm-count: no description of $1" >&2; exit 2 ;;
  esac
  printf 'processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32%s\nCPU implementer\t: 0x41\nCPU architecture: 8\n' \
    "$features" > "$here/arm64/proc/cpuinfo"
  printf 'CPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 1\n\n' "$part" >> "$here/arm64/proc/cpuinfo"
}

emulated() { # emulated CPU ARGUMENT...: instructions of the whole process, in plain digits
  local cpu=$1; shift
  LD_LIBRARY_PATH="$here/qemu/usr/lib/x86_64-linux-gnu" "$here/qemu/usr/bin/qemu-aarch64" -cpu "$cpu" \
    -plugin "$here/libcount.so" "$@" 2>&1 | sed -n 's/^instructions=//p'
}
ours() { emulated "$1" "$program" "$2" "$3" "$4" "$here/arm.npy"; }
peer() { # peer CPU ENGINE MODEL INPUT COUNT
  emulated "$1" -L "$here/arm64" -E LD_LIBRARY_PATH= -E PYTHONHASHSEED=0 -E PYTHONHOME="$here/arm64/usr" \
    -E PYTHONPATH="$here/site" "$here/arm64/usr/bin/python3.11" "$root/tools/peers/speed.py" --answers "$2" "$3" "$4" "$5"
}
millions() { # millions ONCE MORE N: of one answer, from runs of one answer and of N more; nothing where a run failed
  [ -n "$1" ] && [ -n "$2" ] && awk "BEGIN{printf \"%.2f\", ($2-$1)/$3/1e6}"
}

unpack amd64 "$here/qemu" qemu-user libcapstone4
gcc -shared -fPIC -O2 -o "$here/libcount.so" "$root/tools/peers/count.c"
[ "${PEERS:-yes}" = no ] || install_peers
cd "$root"
CARGO_TARGET_DIR=$here/target cargo build -q --release --example infer -p remedis-plan
# shellcheck disable=SC1091
(. "$HOME/.cache/remedis/cross/env.sh" &&
  CARGO_TARGET_DIR=$here/target cargo build -q --release --example infer -p remedis-plan --target aarch64-unknown-linux-gnu)
native=$here/target/release/examples/infer
program=$here/target/aarch64-unknown-linux-gnu/release/examples/infer
printf 'our program for aarch64, static and stripped: %.2f MB\ninstructions are not cycles\n\n' \
  "$(awk "BEGIN{print $(stat -c %s "$program")/1e6}")"
printf '%-11s %-10s %-17s %15s  %s\n' cpu model engine 'M instructions' ''
code=0
for cpu in "${cpus[@]}"; do
  for name in "${names[@]}"; do
    input=$models/in_${name#*_}.npy quantised=$models/${name}_qdq_s8s8_pc.onnx best=""
    if [ "${PEERS:-yes}" != no ]; then
      pretend "$cpu"
      while read -r label engine model; do
        [ -e "$model" ] || { echo "left out: $label on $name: no $model" >&2; continue; }
        count=$(millions "$(peer "$cpu" "$engine" "$model" "$input" 1)" "$(peer "$cpu" "$engine" "$model" "$input" 11)" 10) ||
          { echo "failed: $label on $name, $cpu" >&2; continue; }
        printf '%-11s %-10s %-17s %15s\n' "$cpu" "$name" "$label" "$count"
        best=$(printf '%s\n%s\n' "$best" "$count" | sed '/^$/d' | sort -g | head -1)
      done <<PEERS
onnxruntime-f32 onnxruntime $models/${name}_f32.onnx
onnxruntime-int8 onnxruntime $quantised
litert-int8 litert $models/${name}_int8.tflite
ncnn-f32 ncnn $models/${name}_f32.ncnn.param
PEERS
    fi
    "$native" "$quantised" "$input" 1 "$here/native.npy" > /dev/null
    count=$(millions "$(ours "$cpu" "$quantised" "$input" 1)" "$(ours "$cpu" "$quantised" "$input" 3)" 2)
    note="the same bytes as here"
    cmp -s "$here/native.npy" "$here/arm.npy" || { note="OTHER BYTES than here"; code=1; }
    if [ -n "$best" ]; then
      note="$note, $(awk "BEGIN{r=$count/$best; printf \"%.2f of the best peer%s\", r, r<=$most ? \"\" : \": MORE than $most\"}")"
      awk "BEGIN{exit $count/$best > $most}" || code=1
    fi
    printf '%-11s %-10s %-17s %15s  %s\n' "$cpu" "$name" ours "$count" "$note"
  done
done
exit $code
