#!/bin/sh
# schemathesis against the server: what it says of itself in its OpenAPI document, with some hundred valid and invalid
# requests an operation. One argument: the seed, 1 if there is none.
set -eu
cd "$(dirname "$0")/../.."
seed=${1:-1}
if ! python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "schemathesis: skipped, there is no Python 3.10 with venv"
    exit 0
fi
suites=$PWD/tests/suites
target=${CARGO_TARGET_DIR:-$PWD/target}
venv=$target/suites/schemathesis
if ! cmp -s "$suites/schemathesis-requirements.txt" "$venv/installed"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$suites/schemathesis-requirements.txt"
    cp "$suites/schemathesis-requirements.txt" "$venv/installed"
fi
cargo build --quiet --workspace --bin metagate

export ORGANIZATION=69629023906488334 TOKEN=schemathesis
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cat > "$work/directory.toml" <<DIRECTORY
[instance]
id = "1"

[[organization]]
id = "$ORGANIZATION"
name = "Acme"
state = "active"

[[user]]
id = "100"
name = "schemathesis"
organization = "$ORGANIZATION"
state = "active"
token = [{ value = "$TOKEN" }]

[[membership]]
user = "100"
instance = true
roles = ["IAM_OWNER"]
DIRECTORY
"$target/debug/metagate" serve --listen 127.0.0.1:0 --storage memory: --directory "$work/directory.toml" \
    --log-level error > "$work/stdout" &
server=$!
until grep -q '^metagate listens on ' "$work/stdout" 2>/dev/null; do
    kill -0 "$server"
    sleep 0.05
done
address=$(sed -n 's|^metagate listens on ||p' "$work/stdout")

# All its checks but three, which schemathesis_checks.py has in a form of its own, with the reasons.
cd "$work"
if ! SCHEMATHESIS_HOOKS=schemathesis_checks PYTHONPATH=$suites PYTHONDONTWRITEBYTECODE=1 NO_COLOR=1 \
    "$venv/bin/st" run "$address/openapi/v2/swagger.json" --header "Authorization: Bearer $TOKEN" \
    --exclude-checks positive_data_acceptance,negative_data_rejection,unsupported_method \
    --seed "$seed" --max-examples 150 --workers 1 --continue-on-failure --no-shrink --generation-database none \
    --request-timeout 10 --output-sanitize false --warnings off > "$work/report" 2>&1; then
    cat "$work/report"
    exit 1
fi
# A server that fell would be many errors; one that complains is one too many.
kill "$server"
wait "$server"
server=
echo "schemathesis, seed $seed: $(sed -n 's/^ *\([0-9]* generated.*\)/\1/p' "$work/report")"
