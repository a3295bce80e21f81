#!/bin/sh
# Starts a PostgreSQL: `postgres.sh FOLDER PORT`, a free port of 127.0.0.1; passwords go by SCRAM.
# In the folder are its log and, for TLS, ca.pem, client.pem and client.key. It lives until standard input ends; one
# that was stopped or killed goes on when started again with the same words.
#
# `postgres` has the password `postgres-secret`. A user named `client` needs TLS and client.pem and no password, one
# named `secure` TLS and a password.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
folder="$(cd "$1" && pwd)"
port=$2
# The newest one that Debian has installed, or what is on the path.
newest="$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)"
PATH="${newest:+$newest:}$PATH"

# It refuses to be root. Who it is then may not get at the folder, so its data lie elsewhere.
as_somebody=""
if [ "$(id -u)" = 0 ]; then
    as_somebody="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi

if [ ! -e "$folder/data" ]; then
    "$here/certificates.sh" "$folder"
    data="$(mktemp -d)"
    ln -s "$data" "$folder/data"
    cp "$folder/ca.pem" "$folder/server.pem" "$folder/server.key" "$data"
    echo postgres-secret > "$data/password"
    [ -z "$as_somebody" ] || chown -R 65534:65534 "$data"
    cd "$data"
    $as_somebody initdb -D "$data/cluster" -U postgres --pwfile "$data/password" -A scram-sha-256 -E UTF8 --locale C.UTF-8 \
        --no-sync --no-instructions
    cat > "$data/cluster/pg_hba.conf" <<EOF
hostnossl all client,secure 127.0.0.1/32 reject
hostssl all client 127.0.0.1/32 cert
host all all 127.0.0.1/32 scram-sha-256
EOF
    cat >> "$data/cluster/postgresql.conf" <<EOF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
ssl = on
ssl_ca_file = '$data/ca.pem'
ssl_cert_file = '$data/server.pem'
ssl_key_file = '$data/server.key'
# What was written survives the server's end, not the machine's.
fsync = off
shared_buffers = 16MB
EOF
fi

data="$(readlink "$folder/data")"
cd "$data"
# The list is split into words on purpose.
# shellcheck disable=SC2086
exec "$here/keep.sh" "$folder" QUIT $as_somebody postgres -D "$data/cluster"
