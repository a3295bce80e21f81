#!/bin/sh
# Runs a server for whoever holds the other end of our standard input: `keep.sh FOLDER SIGNAL COMMAND…`.
#
# When that ends, however it ended, the server gets the signal and its folder goes. A server that was ended by somebody
# else leaves its folder, to be started again. FOLDER/pid holds the server's number, FOLDER/log what it said.
set -u

folder=$1
signal=$2
shift 2

exec 3<&0
"$@" </dev/null >>"$folder/log" 2>&1 3<&- &
server=$!
echo "$server" > "$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"

(
    cat <&3 >/dev/null
    : > "$folder/abandoned"
    kill "-$signal" "$server" 2>/dev/null
) &
watcher=$!

wait "$server"
status=$?
rm -f "$folder/pid"
if [ -e "$folder/abandoned" ]; then
    wait "$watcher"
    # Data may be a link to where another user gets at it.
    rm -rf "$(readlink "$folder/data" || :)" "$folder"
else
    kill "$watcher" 2>/dev/null
fi
exit "$status"
