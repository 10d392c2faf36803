#!/bin/sh
# The connectrpc conformance suite against the front door: every case passes, in every protocol and codec.
# One argument: how many times in a row, 1 if there is none.
set -eu
cd "$(dirname "$0")/../.."
runs=${1:-1}
if ! command -v go >/dev/null; then
    echo "conformance: skipped, there is no Go"
    exit 0
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
GOBIN=$target/suites go install connectrpc.com/conformance/cmd/connectconformance@v1.0.7
cargo build --quiet --workspace --bin metagate-conformance

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A protocol, its codecs, and whether with TLS.
suite() {
    cat > "$work/config.yaml" <<CONFIG
features:
  versions: [HTTP_VERSION_1, HTTP_VERSION_2]
  protocols: [PROTOCOL_$1]
  codecs: [$2]
  compressions: [COMPRESSION_IDENTITY, COMPRESSION_GZIP]
  streamTypes: [STREAM_TYPE_UNARY]
  supportsH2c: true
  supportsTls: $3
  supportsTlsClientCerts: $3
  supportsTrailers: true
  supportsConnectGet: false
  supportsMessageReceiveLimit: true
CONFIG
    if ! "$target/suites/connectconformance" --mode server --conf "$work/config.yaml" \
        -- "$target/debug/metagate-conformance" > "$work/report" 2>&1; then
        cat "$work/report"
        exit 1
    fi
    printf '%-9s %-23s %-5s %s\n' "$1" "$2" "$3" "$(grep ' passed, ' "$work/report")"
}

for run in $(seq "$runs"); do
    echo "conformance, run $run of $runs"
    printf '%-9s %-23s %-5s %s\n' protocol codecs TLS cases
    for tls in false true; do
        suite GRPC CODEC_PROTO $tls
        suite GRPC CODEC_JSON $tls
        suite GRPC_WEB CODEC_PROTO $tls
        suite GRPC_WEB CODEC_JSON $tls
        suite CONNECT "CODEC_PROTO, CODEC_JSON" $tls
    done
done
