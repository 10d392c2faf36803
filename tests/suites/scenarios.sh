#!/bin/sh
# The scenarios of scenarios/zitadel-metadata against the running binary, in every encoding over both versions of HTTP, by
# `metagate parity`; and all files of scenarios that there are against the schema that editors are given. METAGATE names the
# binary; without it, one is built.
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

cd ../..
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    echo "scenarios: the schema is skipped, there is no Python with venv"
    exit 0
fi
venv=${CARGO_TARGET_DIR:-$PWD/target}/suites/scenarios
test -e "$venv/bin/pip" || python3 -m venv "$venv"
# shellcheck disable=SC2046 # several arguments
"$venv/bin/pip" install --quiet --disable-pip-version-check \
    $(grep -e '^jsonschema_rs=' -e '^PyYAML=' tests/suites/schemathesis-requirements.txt)
"$METAGATE" parity schema > "$work/schema.json"
"$venv/bin/python" - "$work/schema.json" <<'EOF'
import glob, json, sys, jsonschema_rs, yaml
schema = jsonschema_rs.validator_for(json.load(open(sys.argv[1])))
files = [file for file in glob.glob("scenarios/**/*.yaml", recursive=True) if "/deviations/" not in file]
files += ["tests/outside/parity/seeded.yaml", *glob.glob("tests/suites/*/scenarios.yaml")]
wrong = [f"{file}: {error.message}" for file in files for error in schema.iter_errors(yaml.safe_load(open(file)))]
step = {"rpc": "a", "expect": {"kode": 5}}
assert not schema.is_valid({"scenarios": [{"name": "x", "steps": [step]}]}), "the schema takes anything"
sys.exit("\n".join(wrong) or print(f"scenarios: {len(files)} files are as the schema says"))
EOF
