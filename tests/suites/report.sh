#!/bin/sh
# The page that `metagate parity` writes, opened in Chromium. PICTURES names a folder for pictures of it.
set -eu
cd "$(dirname "$0")/../.."
for needed in npm chromium; do
    if ! command -v "$needed" >/dev/null; then
        echo "report: skipped, there is no $needed"
        exit 0
    fi
done
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --workspace --bin metagate
(cd tests/clients/javascript && npm ci --ignore-scripts --no-audit --no-fund --loglevel error > /dev/null)

work=$(mktemp -d)
server=
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
(cd "$work" && exec "$target/debug/metagate" serve --listen 127.0.0.1:0 --log-level error > greeting) &
server=$!
until METAGATE_PARITY_TOKEN=$(sed -n 's/^token: //p' "$work/greeting" 2>/dev/null) && [ -n "$METAGATE_PARITY_TOKEN" ]; do
    kill -0 "$server"
    sleep 0.05
done
export METAGATE_PARITY_TOKEN
"$target/debug/metagate" parity run tests/suites/report/scenarios.yaml --deviations tests/suites/report/known.yaml \
    --target "$(sed -n 's/^metagate listens on //p' "$work/greeting")" --report "html=$work/parity.html" > "$work/shown" && code=0 || code=$?
test "$code" = 1 || { cat "$work/shown"; exit 1; }
CHROMIUM=$(command -v chromium) node tests/suites/report/page.js "$work/parity.html" "${PICTURES:-$work}"
