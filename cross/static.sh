#!/bin/sh
# Builds one static binary for TARGET and shows that it is one: static.sh [TARGET]
#
# glibc is linked statically: musl's allocator was 4 to 10 times slower with two threads. `--target` is given even
# for the host, because it keeps crt-static away from procedural macros. The setting for getrandom lets the binary
# run in a root without /dev/random.
set -eu
cd "$(dirname "$0")/.."

target="${1:-x86_64-unknown-linux-gnu}"
binary="target/$target/release/headwater"

RUSTFLAGS="-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"" \
    cargo build --release --locked --target "$target"

# Written to a variable first: a failing readelf must not look like "nothing found".
headers=$(readelf -lW "$binary")
dynamic=$(readelf -dW "$binary")
if echo "$headers" | grep -q INTERP || echo "$dynamic" | grep -q NEEDED; then
    echo "$binary is not static:" >&2
    echo "$dynamic" | grep NEEDED >&2
    exit 1
fi
echo "$binary: static, $(stat -c %s "$binary") bytes"

if [ "$(id -u)" != 0 ]; then
    echo "not root: not run in an empty root"
    exit 0
fi
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
cp "$binary" "$empty/headwater"
cp -r pipelines plugins "$empty"
echo "in a root that holds nothing else:"
chroot "$empty" /headwater --version
chroot "$empty" /headwater test /pipelines
echo "an example's rows, time zones included:"
chroot "$empty" /headwater run /pipelines/energy-per-day.yaml >"$empty/rows"
sort "$empty/rows" >"$empty/actual"
sort pipelines/expected/energy-per-day/stdout.ndjson | diff - "$empty/actual"
echo "as expected"
