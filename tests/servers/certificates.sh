#!/bin/sh
# Makes an authority (`ca.pem`) and certificates of it, in the folder given: `server`, `client` and `expired`, which
# is the server's with a time that is over, each `.pem` and `.key`.
set -eu
cd "$1"

cat > openssl.conf <<EOF
[ ca ]
default_ca = authority
[ authority ]
new_certs_dir = .
database = index
rand_serial = yes
default_md = sha256
unique_subject = no
policy = subject
x509_extensions = names
[ subject ]
commonName = supplied
[ names ]
subjectAltName = DNS:localhost, IP:127.0.0.1
EOF
: > index

key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

# certificate NAME VALIDITY…
certificate() {
    name=$1
    shift
    # The list is split into words on purpose.
    # shellcheck disable=SC2086
    openssl req $key -keyout "$name.key" -out "$name.csr" -subj "/CN=$name" 2>/dev/null
    openssl ca -batch -config openssl.conf -cert ca.pem -keyfile ca.key -notext -in "$name.csr" -out "$name.pem" "$@" \
        2>/dev/null
    rm "$name.csr"
}

# shellcheck disable=SC2086
openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj /CN=authority 2>/dev/null
certificate server -days 2
certificate client -days 2
certificate expired -startdate 20200101000000Z -enddate 20200102000000Z
rm -- index* openssl.conf *[0-9A-F][0-9A-F][0-9A-F][0-9A-F].pem
