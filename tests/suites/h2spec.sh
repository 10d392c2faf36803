#!/bin/sh
# h2spec against the server, in strict mode: every case passes that is not in h2spec-misses.txt, with TLS in
# h2spec-misses-tls.txt, and none that is.
set -eu
cd "$(dirname "$0")/../.."
if ! command -v go >/dev/null; then
    echo "h2spec: skipped, there is no Go"
    exit 0
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
GOBIN=$target/suites go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
cargo build --quiet --workspace --bin metagate

work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
# The verdict of a run, with a file of the misses that are expected; more arguments for the server, then for h2spec.
check() {
    name=$1 expected=$2 server_arguments=$3 suite_arguments=$4
    # shellcheck disable=SC2086 # several arguments
    "$target/debug/metagate" serve --listen 127.0.0.1:0 --storage memory: --log-level error $server_arguments \
        > "$work/stdout" &
    server=$!
    until grep -q '^metagate listens on ' "$work/stdout" 2>/dev/null; do
        kill -0 "$server"
        sleep 0.05
    done
    port=$(sed -n 's|^metagate listens on https*://.*:||p' "$work/stdout")

    # Its own verdict knows of no expected misses.
    # shellcheck disable=SC2086
    "$target/suites/h2spec" --strict --port "$port" --junit-report "$work/junit.xml" $suite_arguments \
        > "$work/report" 2>&1 || true
    kill "$server"
    wait "$server"
    server=
    rm "$work/stdout"

    grep ' passed, ' "$work/report" | sed "s/^/h2spec, $name: /"
    tr -d '\n' < "$work/junit.xml" | sed 's|</testcase>|\n|g' |
        sed -n 's|.*<testcase package="\([^"]*\)" classname="\([^"]*\)"[^>]*> *<[fe].*|\1: \2|p' | sort > "$work/missed"
    if ! diff -u "$expected" "$work/missed"; then
        sed -n '/^Failures:/,$p' "$work/report"
        echo "h2spec, $name: -: expected to fail, and passed; +: expected to pass, and failed"
        exit 1
    fi
}

for misses in h2spec-misses h2spec-misses-tls; do
    grep -v -e '^#' -e '^$' "tests/suites/$misses.txt" | sort > "$work/$misses"
done
check cleartext "$work/h2spec-misses" "" ""
check TLS "$work/h2spec-misses-tls" "--tls-certificate tests/tls/certificate.pem --tls-key tests/tls/key.pem" "--tls --insecure"
