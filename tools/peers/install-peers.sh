#!/bin/sh
# Makes a Python environment with the test peers: programs that check our exported models from outside.
# Usage: tools/peers/install-peers.sh [DIR]     default DIR: $REMEDIS_PEERS, else ~/.cache/remedis/peers
# Nothing that ships needs it; tests that use it say "skipped" where it is absent.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-${REMEDIS_PEERS:-$HOME/.cache/remedis/peers}}
python=${PYTHON:-python3}
stamp="$dir/requirements.installed"

if [ -x "$dir/bin/python" ] && cmp -s "$here/requirements.txt" "$stamp"; then
    echo "test peers are installed in $dir"
    exit 0
fi
if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'; then
    echo "install-peers: need $python of version 3.10 or later with venv and pip (Debian: apt install python3-venv)" >&2
    exit 2
fi
mkdir -p "$(dirname "$dir")"
"$python" -m venv "$dir"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
cp "$here/requirements.txt" "$stamp"
echo "test peers are installed in $dir"
