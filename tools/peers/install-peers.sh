#!/bin/sh
# Makes a Python environment with the test peers: programs that check our exported models from outside.
# Usage: tools/peers/install-peers.sh [--speed] [DIR]     default DIR: $REMEDIS_PEERS, else ~/.cache/remedis/peers
# --speed: also the engines that speed.py times.
# Nothing that ships needs it; tests that use it say "skipped" where it is absent.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wanted="$here/requirements.txt"
if [ "${1:-}" = --speed ]; then
    wanted="$wanted $here/requirements-speed.txt"
    shift
fi
dir=${1:-${REMEDIS_PEERS:-$HOME/.cache/remedis/peers}}
python=${PYTHON:-python3}
stamp="$dir/requirements.installed"

# shellcheck disable=SC2086 # two files
if [ -x "$dir/bin/python" ] && [ -e "$stamp" ] && ! cat $wanted | grep -vqxFf "$stamp"; then
    echo "test peers are installed in $dir"
    exit 0
fi
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'; then
    echo "install-peers: need $python of version 3.10 or later with venv and pip (Debian: apt install python3-venv)" >&2
    exit 2
fi
mkdir -p "$(dirname "$dir")"
"$python" -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check $(printf -- '-r %s ' $wanted)
# shellcheck disable=SC2086
cat $wanted > "$stamp"
echo "test peers are installed in $dir"
