#!/bin/sh
# What the tests need from the system beside Rust. Installs what is missing when it may (root on Debian or a
# relative of it), says what is missing otherwise.
set -eu

missing=""

# Debian keeps servers where not every user looks.
PATH="$PATH:/usr/sbin"

# need COMMAND PACKAGES
need() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

need cc "gcc libc6-dev"
need git git
need perl perl
need make make
need readelf binutils
need python3 python3
python3 -c 'import jsonschema' 2>/dev/null || missing="$missing python3-jsonschema"
need mosquitto mosquitto
need mosquitto_pub mosquitto-clients
need openssl openssl
need promtool prometheus

need go golang-go
if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    need postgres postgresql
fi
need java openjdk-17-jre-headless
need mvn maven

if [ -z "$missing" ]; then
    :
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -q
    # The list is split into words on purpose.
    # shellcheck disable=SC2086
    apt-get install -qy --no-install-recommends $missing
else
    echo "The tests need these packages:$missing" >&2
    exit 1
fi

# A Kafka broker; it comes as Maven packages.
"$(dirname "$0")/servers/kafka/setup.sh"

# A server that speaks S3 and checks signatures as Amazon does; it comes as a Go module.
s3_server=github.com/versity/versitygw/cmd/versitygw@v1.8.0
tools="$(dirname "$0")/../target/tools"
if ! command -v versitygw >/dev/null 2>&1 && [ ! -x "$tools/versitygw" ]; then
    mkdir -p "$tools"
    GOBIN="$(cd "$tools" && pwd)" go install "$s3_server"
fi
