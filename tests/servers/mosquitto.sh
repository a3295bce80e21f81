#!/bin/sh
# Starts a mosquitto that anybody may use: `mosquitto.sh FOLDER PORT`, a free port of 127.0.0.1. It keeps sessions in
# the folder and lives until standard input ends.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
folder="$(cd "$1" && pwd)"
# Debian keeps it where not every user looks.
PATH="$PATH:/usr/sbin"
cat > "$folder/mosquitto.conf" <<EOF
user $(id -un)
listener $2 127.0.0.1
allow_anonymous true
persistence true
persistence_location $folder/
max_queued_messages 0
EOF
exec "$here/keep.sh" "$folder" TERM mosquitto -c "$folder/mosquitto.conf"
