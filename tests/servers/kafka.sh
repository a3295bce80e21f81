#!/bin/sh
# Starts an Apache Kafka broker of one node: `kafka.sh FOLDER PLAIN SASL SSL CONTROLLER`, four free ports of 127.0.0.1.
# In the folder are its data, its log, and ca.pem, client.pem and client.key for the port SSL, which asks for them.
# It lives until standard input ends; a broker that was stopped or killed goes on when started again with the same words.
#
# Users: `gateway` with the password `gateway-secret` may do everything, `stranger` (`stranger-secret`; PLAIN only)
# nothing. OAUTHBEARER takes unsigned tokens. Whoever comes without TLS and password may do everything.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
kafka="$here/../../target/tools/kafka"
folder="$(cd "$1" && pwd)"
plain=$2 sasl=$3 ssl=$4 controller=$5

if [ ! -e "$folder/server.properties" ]; then
    "$here/certificates.sh" "$folder"
    cat "$folder/server.key" "$folder/server.pem" "$folder/ca.pem" > "$folder/keystore.pem"
    cp -r "$kafka/formatted" "$folder/data"
    module=org.apache.kafka.common.security
    cat > "$folder/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAIN://127.0.0.1:$plain,SASL://127.0.0.1:$sasl,TLS://127.0.0.1:$ssl,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAIN://127.0.0.1:$plain,SASL://127.0.0.1:$sasl,TLS://localhost:$ssl
listener.security.protocol.map=PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
log.dirs=$folder/data

authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:gateway;User:CN=client
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_gateway="gateway-secret" user_stranger="stranger-secret";
listener.name.sasl.scram-sha-256.sasl.jaas.config=$module.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=$module.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config=$module.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.tls.ssl.client.auth=required
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location=$folder/keystore.pem
listener.name.tls.ssl.truststore.type=PEM
listener.name.tls.ssl.truststore.location=$folder/ca.pem

# One node, small and quick.
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.enable=false
num.network.threads=1
num.io.threads=2
background.threads=1
num.recovery.threads.per.data.dir=1
EOF
fi

exec "$here/keep.sh" "$folder" KILL java \
    -Xms64m -Xmx320m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
    -cp "$kafka/jars/*" kafka.Kafka "$folder/server.properties"
