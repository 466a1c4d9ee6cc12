#!/usr/bin/env bash
# The systemd units of contrib/, judged by systemd itself: no key that it does not know, and little that a service which was
# taken over could reach. tests/it runs their commands; tests/units-started.sh starts the units.
# Usage: tests/units.sh PATH/TO/whosaw
set -euo pipefail
whosaw=$(realpath "$1")
contrib=$(realpath "$(dirname "$0")/../contrib/systemd")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

# The exposure that systemd computes, in tenths, may be this large: 0 is none, 100 is all.
most=15
for unit in "$contrib"/*.service; do
    name=$(basename "$unit")
    sed "s#^ExecStart=/usr/bin/whosaw #ExecStart=$whosaw #" "$unit" >"$folder/$name"
    grep -q "^ExecStart=$whosaw " "$folder/$name" || fail "$name starts another program"
    # It exits with 0 in spite of keys that it does not know.
    said=$(systemd-analyze verify --man=no --recursive-errors=no "$folder/$name" 2>&1) || fail "$name: $said"
    [ -z "$said" ] || fail "$name: $said"
    said=$(systemd-analyze security --no-pager --offline=true --threshold=$most "$folder/$name") || fail "$name: $said"
    tail -n 1 <<<"$said"
done
[ ! -x "$(command -v systemd-sysusers)" ] || systemd-sysusers --dry-run "$contrib/whosaw.sysusers" >/dev/null
