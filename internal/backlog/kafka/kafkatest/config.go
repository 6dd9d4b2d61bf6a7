package kafkatest

import (
	"fmt"
	"os"
	"path/filepath"
)

// serverProperties is the configuration of a broker: https://kafka.apache.org/documentation/#brokerconfigs.
// Sessions are short, so that a broker that is frozen or restarted is replaced within seconds, and long
// enough for a busy machine. The cleaner of logs would take half of the heap.
const serverProperties = `process.roles=broker,controller
node.id=%[1]d
controller.quorum.voters=%[2]s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=PLAINTEXT://%[3]s,CONTROLLER://%[4]s,SASL://%[5]s,TLS://%[6]s,PROXIED://%[11]s
advertised.listeners=PLAINTEXT://%[3]s,SASL://%[5]s,TLS://%[6]s,PROXIED://%[12]s
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:%[13]s,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL
log.dirs=%[7]s
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.proxied.sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.proxied.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_scaler="secret";
listener.name.sasl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location=%[8]s
ssl.truststore.type=PEM
ssl.truststore.location=%[9]s
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
auto.create.topics.enable=false
offsets.topic.num.partitions=%[10]d
transaction.state.log.num.partitions=1
offsets.topic.replication.factor=%[10]d
transaction.state.log.replication.factor=%[10]d
transaction.state.log.min.isr=1
default.replication.factor=%[10]d
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=500
controller.quorum.fetch.timeout.ms=3000
controller.quorum.election.timeout.ms=2000
replica.lag.time.max.ms=3000
log.cleaner.dedupe.buffer.size=4194304
`

// shareProperties are those of share groups.
const shareProperties = `share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=%[1]d
share.coordinator.state.topic.min.isr=1
`

// log4jProperties make Kafka write its warnings to its output.
const log4jProperties = `appender.out.type=Console
appender.out.name=out
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
`

// configure writes the files of a broker.
func (b *Broker) configure(c *Cluster, controller int, voters string, brokers int) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("create the folder of broker %d: %w", b.ID, err)
	}
	protocol := "PLAINTEXT"
	if c.proxiedLogin {
		protocol = "SASL_PLAINTEXT"
	}
	properties := fmt.Sprintf(serverProperties, b.ID, voters, b.plain, address(controller), b.sasl, b.tls,
		filepath.Join(b.dir, "data"), c.Certificates.Server, c.Certificates.CA.Path, brokers, b.proxied, b.advertised, protocol)
	if c.Version != V39 {
		properties += fmt.Sprintf(shareProperties, brokers)
	}
	for name, content := range map[string]string{"server.properties": properties, "log4j2.properties": log4jProperties} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("configure broker %d: %w", b.ID, err)
		}
	}
	return nil
}
