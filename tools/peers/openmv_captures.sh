#!/bin/sh
# Records the traffic of the maker's client with our camera, for firmware/openmv/tests/captures.rs. Pictures are made up.
# Usage: tools/peers/openmv_captures.sh
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
peers=${REMEDIS_PEERS:-$HOME/.cache/remedis/peers}
captures="$repository/firmware/openmv/tests/captures"
cd "$repository"
camera=$(cargo build --quiet -p remedis-openmv --example camera --message-format json |
    sed -n 's/.*"executable":"\([^"]*\/examples\/camera\)".*/\1/p')
mkdir -p "$captures"
"$peers/bin/python" "$here/openmv_client.py" "$camera" --frames 9 --size 48x40 --record "$captures/clean.bin"
"$peers/bin/python" "$here/openmv_client.py" "$camera" --frames 6 --size 48x40 --drop-rate 0.1 --record "$captures/drops.bin"
