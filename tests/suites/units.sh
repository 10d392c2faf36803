#!/bin/sh
# The units of packaging/: what systemd says of them, and what their lines do: the service is started by its ExecStart with the
# socket's socket, reloaded, stopped, and started again.
set -eu
cd "$(dirname "$0")/../.."
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
    echo "units: skipped, there is no Python 3.11"
    exit 0
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --workspace --bin metagate

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if command -v systemd-analyze > /dev/null; then
    # It wants the programs to be there.
    sed "s|/usr/local/bin/metagate|$target/debug/metagate|" packaging/metagate.service > "$work/metagate.service"
    cp packaging/metagate.socket "$work"
    # What it says of units of this machine is theirs.
    systemd-analyze verify "$work/metagate.service" "$work/metagate.socket" > "$work/said" 2>&1 || failed=$?
    if [ -n "${failed:-}" ] || grep 'metagate\.' "$work/said"; then
        cat "$work/said"
        exit 1
    fi
    echo "units: systemd-analyze verify has nothing to say"
    if ! systemd-analyze security --offline=true --threshold=15 --no-pager "$work/metagate.service" > "$work/said" 2>&1; then
        cat "$work/said"
        exit 1
    fi
    sed -n 's/.*Overall exposure level for/units: exposure of/p' "$work/said"
else
    echo "units: not verified, there is no systemd-analyze"
fi
if command -v systemd-sysusers > /dev/null; then
    mkdir -p "$work/root/etc"
    systemd-sysusers --root="$work/root" --dry-run "$PWD/packaging/metagate.sysusers" > "$work/said" 2>&1 || failed=$?
    if [ -n "${failed:-}" ] || ! grep -q 'metagate' "$work/said"; then
        cat "$work/said"
        exit 1
    fi
    echo "units: systemd-sysusers would make the user"
fi
python3 -B tests/suites/units_checks.py "$target/debug/metagate" "$work"
