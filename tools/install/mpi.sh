#!/usr/bin/env bash
# Installs what `cargo build -p remedis-command --features mpi` needs on Debian: Open MPI with its headers, and libclang, which reads
# them. On a cluster take the MPI that is there (`module load`) and install libclang alone. Running it again installs what is missing.
set -euo pipefail
if command -v mpirun >/dev/null && command -v mpicc >/dev/null && ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo"; fi
$sudo apt-get update -qq
$sudo apt-get install -y -qq libopenmpi-dev openmpi-bin libclang-dev </dev/null
