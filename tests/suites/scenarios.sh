#!/bin/sh
# The scenarios of scenarios/zitadel-metadata against the running binary, in every encoding over both versions of HTTP, by
# `metagate parity`. METAGATE names the binary; without it, one is built.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${METAGATE:-}" ]; then
    cargo build --quiet --workspace --bin metagate
    METAGATE=${CARGO_TARGET_DIR:-$PWD/target}/debug/metagate
fi
case $METAGATE in /*) ;; *) METAGATE=$PWD/$METAGATE ;; esac

work=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cd scenarios/zitadel-metadata
"$METAGATE" serve --listen 127.0.0.1:0 --storage memory: --directory directory.toml --log-level error \
    --failed-logins-per-minute 1000000 --head-seconds 120 > "$work/greeting" &
server=$!
until address=$(sed -n 's/^metagate listens on //p' "$work/greeting" 2>/dev/null) && [ -n "$address" ]; do
    kill -0 "$server"
    sleep 0.05
done

# What README.md beside the scenarios says, but for the address.
sed -n '/^    metagate parity run own-organization/,/^$/p' README.md | sed -e 's/^ *metagate /"$METAGATE" /' -e 's#http://localhost:8080#"$address"#' \
    > "$work/command"
grep -q 'parity run' "$work/command"
. "$work/command"
