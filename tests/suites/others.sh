#!/bin/sh
# `metagate parity` against servers of others, made of grpc-go, grpc-gateway and improbable's grpc-web, and of connect-go and
# vanguard: what it finds in them is what others/disagreements.txt says. METAGATE names the binary; without it, one is built.
set -eu
cd "$(dirname "$0")/../.."
for needed in go python3; do
    if ! command -v "$needed" >/dev/null; then
        echo "others: skipped, there is no $needed"
        exit 0
    fi
done
target=${CARGO_TARGET_DIR:-$PWD/target}
if [ -z "${METAGATE:-}" ]; then
    cargo build --quiet --workspace --bin metagate
    METAGATE=$target/debug/metagate
fi

# The servers are built beside what is generated for them. protoc comes with Python's tools.
home=$target/suites/others
mkdir -p "$home/bin"
rm -rf "$home/source"
cp -r tests/suites/others "$home/source"
python3 -m venv "$home/venv"
# shellcheck disable=SC2046 # several arguments
"$home/venv/bin/pip" install --quiet --disable-pip-version-check \
    $(grep -e '^grpcio-tools=' -e '^grpcio=' -e '^protobuf=' tests/clients/python/requirements.txt)
(
    cd "$home/source"
    GOBIN=$home/bin go install tool
    PATH=$home/bin:$PATH "$home/venv/bin/python" -m grpc_tools.protoc -I . -I "$OLDPWD/proto" library.proto \
        --go_out=. --go_opt=module=metagate/others --go-grpc_out=. --go-grpc_opt=module=metagate/others \
        --grpc-gateway_out=. --grpc-gateway_opt=module=metagate/others \
        --connect-go_out=. --connect-go_opt=module=metagate/others
    go build -o "$home/bin/" ./gateway ./vanguard
)

work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
# What is found in a server in these encodings goes to `found`: encoding, rule, scenario and step.
play() {
    name=$1 encodings=$2
    "$home/bin/$name" > "$work/$name" &
    server=$!
    until grep -q '^ready: ' "$work/$name" 2>/dev/null; do
        kill -0 "$server"
        sleep 0.05
    done
    targets=$(sed -n 's/^ready://p' "$work/$name" | sed 's/ / --target /g')
    # shellcheck disable=SC2086 # several arguments
    "$METAGATE" parity run tests/suites/others/scenarios.yaml $targets --encodings "$encodings" \
        --report "json=$work/$name.jsonl" > "$work/$name.shown" && code=0 || code=$?
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
    if [ "$code" -gt 1 ]; then
        cat "$work/$name.shown"
        exit 1
    fi
    grep '^[0-9]* scenarios' "$work/$name.shown" | sed "s/^/others, $name: /"
    "$home/venv/bin/python" - "$name" "$work/$name.jsonl" >> "$work/found" <<'EOF'
import json, sys
for line in map(json.loads, open(sys.argv[2])):
    for rule in sorted({found["rule"] for found in line["findings"]} if line["kind"] == "step" else ()):
        print(sys.argv[1], line["encoding"], rule, f'{line["scenario"]}: {line["step"]}', sep="  ")
EOF
}

play gateway rest,grpc,grpc-web,grpc-web-text
play vanguard rest,grpc,grpc-web,connect-json,connect-proto
sort "$work/found" > "$work/sorted"
if ! grep -v -e '^#' -e '^$' tests/suites/others/disagreements.txt | sort | diff -u - "$work/sorted"; then
    cat "$work"/*.shown
    echo "others: -: expected to be found, and was not; +: found, and not expected"
    exit 1
fi
