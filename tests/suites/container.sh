#!/bin/sh
# The Dockerfile without Docker: it is linted, its program is built from the files that its context has, as it builds it, and
# started as it starts it, in a root in which there is nothing else.
#
# Where Rust or C cannot build for musl, the program is one for glibc, as static; that is said. Its profile is `release`, as
# `dist` takes too long.
set -eu
cd "$(dirname "$0")/../.."
suites=$PWD/tests/suites
target=${CARGO_TARGET_DIR:-$PWD/target}
if ! python3 -c 'import ensurepip' 2> /dev/null; then
    echo "container: skipped, there is no Python with venv"
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v openssl > /dev/null || ! command -v curl > /dev/null; then
    echo "container: skipped, there is no root to change, no openssl or no curl"
    exit 0
fi
venv=$target/suites/container
if ! cmp -s "$suites/container-requirements.txt" "$venv/installed"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$suites/container-requirements.txt"
    cp "$suites/container-requirements.txt" "$venv/installed"
fi
"$venv/bin/hadolint" Dockerfile
echo "container: hadolint has nothing to say"

machine=$(uname -m)
if rustup target list --installed 2> /dev/null | grep -qx "$machine-unknown-linux-musl" && command -v musl-gcc > /dev/null; then
    libc=musl
else
    libc=gnu
    export RUSTFLAGS="-C target-feature=+crt-static"
fi
# `*` leaves everything out, and the lines behind it take something along.
context=$target/suites/context
rm -rf "$context"
mkdir -p "$context"
test "$(grep -v '^#' .dockerignore | head -1)" = '*'
sed -n 's/^!//p' .dockerignore | while read -r path; do
    cp -a "$path" "$context/$path"
done
find "$context" -name target -prune -exec rm -rf {} +
build=$(sed -n 's/^RUN cargo build \(.*\) --profile dist \(.*\) && mkdir .*/\1 \2/p' Dockerfile)
test -n "$build"
started=$(date +%s)
# What is looked at is what it does, not how fast, nor where it fails.
# shellcheck disable=SC2086 # several arguments
(cd "$context" && CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR=$target cargo build --quiet --release \
    --target "$machine-unknown-linux-$libc" $build)
binary=$target/$machine-unknown-linux-$libc/release/metagate
echo "container: built with $libc in $(($(date +%s) - started)) s, $(($(wc -c < "$binary") / 1048576)) MiB"
"$venv/bin/python" -B "$suites/container_checks.py" "$binary"
