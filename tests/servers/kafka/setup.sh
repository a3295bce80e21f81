#!/bin/sh
# Brings Apache Kafka and formats a disk for its broker, once: both are then in target/tools/kafka.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
tools="$here/../../../target/tools"
kafka="$tools/kafka"

# What is there was made by these very files, or is made anew.
if [ "$(cat "$kafka/made-by" 2>/dev/null)" = "$(cat "$here/pom.xml" "$0")" ]; then
    exit 0
fi
new="$tools/kafka.$$"
trap 'rm -rf "$new"' EXIT
mkdir -p "$new"

mvn -q -B -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$new/jars"

# Users that SCRAM knows must be on the disk before the first start.
cat > "$new/format.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:1
listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$new/formatted
EOF
java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Xmx256m -cp "$new/jars/*" kafka.tools.StorageTool format \
    --config "$new/format.properties" --cluster-id 4L6g3nShT-eMCtK--X86sw \
    --add-scram 'SCRAM-SHA-256=[name=gateway,password=gateway-secret]' \
    --add-scram 'SCRAM-SHA-512=[name=gateway,password=gateway-secret]' >/dev/null
cat "$here/pom.xml" "$0" > "$new/made-by"

rm -rf "$kafka"
mv "$new" "$kafka"
trap - EXIT
