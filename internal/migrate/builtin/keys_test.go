package builtin_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// minimal is the smallest trigger of each type that KEDA takes.
func minimal() map[string]map[string]string {
	const amqp = "amqp://guest@rabbit.shop.svc/"
	return map[string]map[string]string{
		"redis":          {"address": "redis.shop.svc:6379", "listName": "mails"},
		"redis-cluster":  {"addresses": "redis.shop.svc:6379", "listName": "mails"},
		"redis-sentinel": {"addresses": "sentinel.shop.svc:26379", "listName": "mails", "sentinelMaster": "main"},
		"redis-streams":  {"address": "redis.shop.svc:6379", "stream": "mails"},
		"kafka":          {"bootstrapServers": "kafka.shop.svc:9092", "consumerGroup": "g", "topic": "t"},
		"apache-kafka":   {"bootstrapServers": "kafka.shop.svc:9092", "consumerGroup": "g", "topic": "t"},
		"rabbitmq":       {"host": amqp, "queueName": "mails"},
		"nats-jetstream": {"natsServerMonitoringEndpoint": "nats.shop.svc:8222", "stream": "MAILS", "consumer": "mailer"},
		"aws-sqs-queue":  {"queueURL": "mails", "awsRegion": "eu-central-1", "identityOwner": "operator"},
		"postgresql":     {"host": "db.shop.svc", "port": "5432", "userName": "app", "dbName": "shop", "sslmode": "disable", "query": "SELECT 1", "targetQueryValue": "3"},
		"mysql":          {"host": "db.shop.svc", "port": "3306", "username": "app", "dbName": "shop", "query": "SELECT 1", "queryValue": "3"},
		"prometheus":     {"serverAddress": "http://p.shop.svc:9090", "query": "up", "threshold": "3"},
		"loki":           {"serverAddress": "http://loki.shop.svc:3100", "query": "sum(rate({a=\"b\"}[1m]))", "threshold": "3"},
		"metrics-api":    {"url": "http://api.shop.svc/v1/jobs?q=1", "valueLocation": "a.b-c.0", "targetValue": "3"},
		"elasticsearch":  {"addresses": "http://e.shop.svc", "index": "i"},
	}
}

// A row is one key in one place, with what becomes of it. The value "secret" in a TriggerAuthentication or a
// variable is one of a Secret.
type row struct {
	typ, key string
	from     rune
	value    string
	// with are further keys, and without one of the smallest trigger that is left out.
	with    map[string]string
	without string
	want    string
}

// rows are all keys of all triggers.
func rows() []row {
	tls := map[string]string{"enableTLS": "true"}
	group := map[string]string{"consumerGroup": "g"}
	sentinel := map[string]string{"sentinelUsername": "s"}
	kafkaTLS := map[string]string{"tls": "enable"}
	plain := map[string]string{"sasl": "plaintext"}
	basic := map[string]string{"authModes": "basic"}
	httpTLS := map[string]string{"authModes": "tls"}
	value := map[string]string{"mode": "QueueLength"}
	all := []row{
		{"redis", "address", 'M', "r.shop.svc:1", nil, "", "addresses=[r.shop.svc:1]"},
		{"redis", "address", 'A', "r.shop.svc:1", nil, "address", "addresses=[r.shop.svc:1]"},
		{"redis", "address", 'A', "secret", nil, "address", "addresses=GAP"},
		{"redis", "address", 'E', "r.shop.svc:1", nil, "address", "addresses=[r.shop.svc:1]"},
		{"redis", "address", 'M', "redis:1", nil, "", "redis.keda.svc:1"},
		{"redis", "addresses", 'M', "r.shop.svc:1,s.shop.svc:2", nil, "address", "addresses=[r.shop.svc:1]"},
		{"redis-cluster", "addresses", 'E', "s.shop.svc:2, r.shop.svc:1", nil, "addresses", "addresses=[r.shop.svc:1 s.shop.svc:2]"},
		{"redis", "host", 'M', "r.shop.svc", map[string]string{"port": "7"}, "address", "addresses=[r.shop.svc:7]"},
		{"redis", "hosts", 'M', "r.shop.svc", map[string]string{"ports": "7"}, "address", "addresses=[r.shop.svc:7]"},
		{"redis", "port", 'M', "7", nil, "", "cannot port: KEDA refuses"},
		{"redis-cluster", "ports", 'E', "7,8", map[string]string{"hosts": "r.shop.svc,s.shop.svc"}, "addresses", "addresses=[r.shop.svc:7 s.shop.svc:8]"},
		{"redis", "username", 'M', "app", map[string]string{"password": "x"}, "", "username=app"},
		{"redis", "username", 'M', "app", nil, "", "changed username: left out"},
		{"redis", "password", 'A', "secret", nil, "", "password=SECRET shop/s/password"},
		{"redis", "password", 'E', "secret", nil, "", "password=SECRET shop/s/password"},
		{"redis", "password", 'M', "hunter2", nil, "", "password=GAP"},
		{"redis-sentinel", "sentinelUsername", 'M', "app", map[string]string{"sentinelPassword": "x"}, "", "sentinelUsername=app"},
		{"redis-sentinel", "sentinelPassword", 'A', "secret", sentinel, "", "sentinelPassword=SECRET shop/s/sentinelPassword"},
		{"redis-sentinel", "sentinelMaster", 'E', "other", nil, "sentinelMaster", "masterName=other"},
		{"redis", "enableTLS", 'M', "true", nil, "", "tls=true"},
		{"redis", "enableTLS", 'M', "yes", nil, "", "neither true nor false"},
		{"redis", "tls", 'A', "enable", nil, "", "tls=true"},
		{"redis", "tls", 'A', "disable", nil, "", "target=5"},
		{"redis", "tls", 'A', "secret", nil, "", "tls=GAP"},
		{"redis", "tls", 'A', "enable", tls, "", "TLS is set in the trigger and in the TriggerAuthentication"},
		{"redis", "unsafeSsl", 'M', "true", tls, "", "tlsInsecureSkipVerify=true"},
		{"redis", "unsafeSsl", 'M', "true", nil, "", "unread unsafeSsl: left out"},
		{"redis", "Cert", 'A', "secret", tls, "", "tlsCertFile=SECRET shop/s/Cert"},
		{"redis", "cert", 'A', "secret", tls, "", "tlsCertFile=SECRET shop/s/cert"},
		{"redis", "cert", 'A', "secret", nil, "", "unread cert: left out"},
		{"redis", "key", 'A', "secret", tls, "", "tlsKeyFile=SECRET shop/s/key"},
		{"redis", "ca", 'A', "secret", tls, "", "tlsCAFile=SECRET shop/s/ca"},
		{"redis", "keyPassword", 'A', "secret", tls, "", "cannot keyPassword"},
		{"redis", "databaseIndex", 'M', "3", nil, "", "database=3"},
		{"redis-cluster", "databaseIndex", 'M', "3", nil, "", "addresses=[redis.shop.svc:6379] | list=mails"},
		{"redis", "listName", 'M', "a,b", nil, "", `list=a\,b`},
		{"redis", "listLength", 'M', "7", nil, "", "target=7"},
		{"redis", "activationListLength", 'M', "8", nil, "", "activation=8"},
		{"redis-streams", "stream", 'M', "s", nil, "", "stream=s target=5"},
		{"redis-streams", "consumerGroup", 'M', "g", nil, "", "consumerGroup=g target=5"},
		{"redis-streams", "lagCount", 'M', "7", group, "", "target=7 activation=0 count=ready"},
		{"redis-streams", "lagCount", 'M', "0", group, "", "changed pendingEntriesCount"},
		{"redis-streams", "pendingEntriesCount", 'M', "7", group, "", "consumerGroup=g target=7 activation=0 |"},
		{"redis-streams", "streamLength", 'M', "7", nil, "", "target=7"},
		{"redis-streams", "streamLength", 'M', "7", group, "", "target=5"},
		{"redis-streams", "activationLagCount", 'M', "7", nil, "", "activation=7"},

		{"kafka", "bootstrapServers", 'M', "b.shop.svc, a.shop.svc:1", nil, "", "addresses=[a.shop.svc:1 b.shop.svc:9092]"},
		{"kafka", "bootstrapServers", 'E', "a.shop.svc:1", nil, "bootstrapServers", "addresses=[a.shop.svc:1]"},
		{"kafka", "consumerGroup", 'E', "h", nil, "consumerGroup", "consumerGroupFromEnv=VARIABLE"},
		{"kafka", "topic", 'E', "h", nil, "topic", "topicFromEnv=VARIABLE"},
		{"kafka", "topic", 'M', "a*", nil, "", `topic=a\*`},
		{"apache-kafka", "topic", 'M', "a,b", nil, "", "topic=a,b"},
		{"kafka", "partitionLimitation", 'M', "1-3", nil, "", "cannot partitionLimitation"},
		{"kafka", "lagThreshold", 'M', "7", nil, "", "target=7"},
		{"kafka", "activationLagThreshold", 'M', "7", nil, "", "activation=7"},
		{"kafka", "offsetResetPolicy", 'M', "latest", nil, "", "changed offsetResetPolicy: KEDA counts 1"},
		{"kafka", "offsetResetPolicy", 'M', "earliest", nil, "", "same offsetResetPolicy"},
		{"kafka", "allowIdleConsumers", 'M', "true", nil, "", "cannot allowIdleConsumers"},
		{"kafka", "excludePersistentLag", 'M', "true", nil, "", "cannot excludePersistentLag"},
		{"kafka", "scaleToZeroOnInvalidOffset", 'M', "true", nil, "", "missingOffset=latest"},
		{"kafka", "limitToPartitionsWithLag", 'M', "true", nil, "", "same limitToPartitionsWithLag"},
		{"kafka", "ensureEvenDistributionOfPartitions", 'M', "true", nil, "", "cannot ensureEvenDistributionOfPartitions"},
		{"kafka", "fullMetadata", 'M', "false", nil, "", "same fullMetadata"},
		{"kafka", "version", 'M', "3.0.0", nil, "", "same version"},
		{"kafka", "tls", 'M', "enable", nil, "", "tls=true"},
		{"kafka", "tls", 'A', "secret", nil, "", "tls=GAP"},
		{"kafka", "unsafeSsl", 'M', "true", kafkaTLS, "", "tlsInsecureSkipVerify=true"},
		{"kafka", "ca", 'A', "secret", kafkaTLS, "", "tlsCAFile=SECRET shop/s/ca"},
		{"kafka", "cert", 'A', "secret", kafkaTLS, "", "tlsCertFile=SECRET shop/s/cert"},
		{"kafka", "key", 'A', "secret", kafkaTLS, "", "tlsKeyFile=SECRET shop/s/key"},
		{"kafka", "keyPassword", 'A', "secret", kafkaTLS, "", "cannot keyPassword"},
		{"kafka", "sasl", 'M', "none", nil, "", "target=10"},
		{"kafka", "sasl", 'M', "gssapi", nil, "", "LEFT the engine kafka has no Kerberos"},
		{"kafka", "sasl", 'M', "oauthbearer", nil, "", "token=GAP"},
		{"apache-kafka", "sasl", 'M', "aws_msk_iam", nil, "", "LEFT the engine kafka does not have this mechanism"},
		{"kafka", "sasl", 'M', "scram_sha512", nil, "", "username is missing"},
		{"kafka", "sasl", 'A', "secret", nil, "", "saslMechanism=GAP"},
		{"kafka", "username", 'A', "app", plain, "", "saslMechanism=PLAIN username=app"},
		{"kafka", "username", 'A', "secret", plain, "", "username=GAP"},
		{"kafka", "password", 'A', "secret", plain, "", "username is missing"},
		{"kafka", "saslTokenProvider", 'M', "bearer", map[string]string{"sasl": "oauthbearer"}, "", "token=GAP"},
		{"kafka", "awsRegion", 'M', "eu-central-1", nil, "", "target=10"},
		{"apache-kafka", "awsRoleArn", 'A', "x", nil, "", "target=10"},

		{"rabbitmq", "host", 'M', "amqps://guest:hunter2@r.shop.svc/v%2F1", nil, "", "addresses=[r.shop.svc:5671] vhost=v/1 username=guest password=GAP tls=true"},
		{"rabbitmq", "host", 'M', "http://guest:hunter2@r.shop.svc:15672/p/v", nil, "", "managementURL=http://r.shop.svc:15672/p addresses=GAP vhost=v username=guest password=GAP"},
		{"rabbitmq", "host", 'E', "secret", nil, "host", "addresses=GAP"},
		{"rabbitmq", "host", 'A', "secret", nil, "host", "addresses=GAP"},
		{"rabbitmq", "protocol", 'M', "ftp", nil, "", "LEFT KEDA refuses this trigger: protocol"},
		{"rabbitmq", "protocol", 'A', "amqp", nil, "", "count=ready"},
		{"rabbitmq", "vhostName", 'A', "other", nil, "", "vhost=other"},
		{"rabbitmq", "queueName", 'M', "a*", nil, "", `queue=a\*`},
		{"rabbitmq", "mode", 'M', "MessageRate", nil, "", "LEFT mode MessageRate"},
		{"rabbitmq", "mode", 'M', "QueueLength", nil, "", "LEFT KEDA refuses this trigger: want mode and value"},
		{"rabbitmq", "value", 'M', "7.5", value, "", "target=7.5"},
		{"rabbitmq", "queueLength", 'M', "7", nil, "", "target=7"},
		{"rabbitmq", "queueLength", 'M', "7", value, "", "LEFT KEDA refuses this trigger: queueLength"},
		{"rabbitmq", "activationValue", 'M', "7", nil, "", "target=20 activation=7"},
		{"rabbitmq", "excludeUnacknowledged", 'M', "true", nil, "", "count=ready"},
		{"rabbitmq", "useRegex", 'M', "true", map[string]string{"queueName": `^mail\.(a|b)$`}, "", "LEFT an expression"},
		{"rabbitmq", "useRegex", 'M', "true", map[string]string{"queueName": `^mail\..*$`}, "", "queue=mail.* "},
		{"rabbitmq", "useRegex", 'M', "true", nil, "", "queue=*mails* "},
		{"rabbitmq", "operation", 'M', "max", map[string]string{"useRegex": "true"}, "", "combine=max"},
		{"rabbitmq", "operation", 'M', "avg", map[string]string{"useRegex": "true"}, "", "LEFT operation avg"},
		{"rabbitmq", "pageSize", 'M', "7", nil, "", "target=20"},
		{"rabbitmq", "timeout", 'M', "700", nil, "", "answerTimeout=700ms"},
		{"rabbitmq", "username", 'A', "app", map[string]string{"passwordFromEnv": "secret"}, "", "username=app password=SECRET shop/s/password"},
		{"rabbitmq", "password", 'A', "secret", map[string]string{"usernameFromEnv": "app"}, "", "username=app password=SECRET shop/s/password"},
		{"rabbitmq", "tls", 'A', "enable", nil, "", "tls=true"},
		{"rabbitmq", "ca", 'A', "secret", map[string]string{"host": "amqps://guest@r.shop.svc"}, "", "tlsCAFile=SECRET shop/s/ca"},
		{"rabbitmq", "cert", 'A', "secret", map[string]string{"host": "amqps://r.shop.svc"}, "", "sasl=external tls=true tlsCertFile=SECRET shop/s/cert"},
		{"rabbitmq", "key", 'A', "secret", map[string]string{"host": "amqps://guest@r.shop.svc"}, "", "tlsKeyFile=SECRET shop/s/key"},
		{"rabbitmq", "keyPassword", 'A', "secret", map[string]string{"host": "amqps://guest@r.shop.svc"}, "", "cannot keyPassword"},
		{"rabbitmq", "unsafeSsl", 'M', "true", map[string]string{"host": "amqps://guest@r.shop.svc"}, "", "tlsInsecureSkipVerify=true"},
		{"rabbitmq", "workloadIdentityResource", 'A', "x", nil, "", "LEFT KEDA logs in with workloadIdentityResource"},
		{"rabbitmq", "authModes", 'M', "oauth", nil, "", "LEFT KEDA logs in with authModes"},
		{"rabbitmq", "oauthTokenURI", 'A', "secret", nil, "", "LEFT KEDA logs in with oauthTokenURI"},
		{"rabbitmq", "clientID", 'A', "secret", nil, "", "LEFT KEDA logs in with clientID"},

		{"nats-jetstream", "account", 'M', "$G", nil, "", "changed account"},
		{"nats-jetstream", "accountID", 'A', "A", nil, "", "changed accountID"},
		{"nats-jetstream", "stream", 'M', "S", nil, "", "stream=S consumer=mailer target=10"},
		{"nats-jetstream", "consumer", 'M', "c", nil, "", "consumer=c"},
		{"nats-jetstream", "lagThreshold", 'M', "7", nil, "", "target=7"},
		{"nats-jetstream", "activationLagThreshold", 'M', "7", nil, "", "activation=7"},
		{"nats-jetstream", "useHttps", 'M', "true", nil, "", "addresses=GAP"},
		{"nats-jetstream", "natsServerMonitoringEndpoint", 'A', "https://n.shop.svc:8222", nil, "natsServerMonitoringEndpoint", "n.shop.svc:4222"},

		{"aws-sqs-queue", "queueURL", 'M', "https://sqs.eu-central-1.amazonaws.com/1/m", nil, "", "queue=https://sqs.eu-central-1.amazonaws.com/1/m"},
		{"aws-sqs-queue", "queueURL", 'E', "m", nil, "queueURL", "queueFromEnv=VARIABLE"},
		{"aws-sqs-queue", "awsRegion", 'A', "us-east-1", nil, "awsRegion", "region=us-east-1"},
		{"aws-sqs-queue", "awsEndpoint", 'M', "http://sqs.shop.svc", nil, "", "endpoint=http://sqs.shop.svc"},
		{"aws-sqs-queue", "queueLength", 'M', "7", nil, "", "target=7"},
		{"aws-sqs-queue", "activationQueueLength", 'M', "7", nil, "", "activation=7"},
		{"aws-sqs-queue", "scaleOnInFlight", 'M', "false", nil, "", "count=ready,due"},
		{"aws-sqs-queue", "scaleOnDelayed", 'M', "true", nil, "", "countDelayed=true"},
		{"aws-sqs-queue", "identityOwner", 'M', "pod", nil, "", "LEFT KEDA refuses this trigger: it has neither"},
		{"aws-sqs-queue", "awsRoleArn", 'A', "arn:aws:iam::123456789012:role/r", nil, "", "roleARN=arn:aws:iam::123456789012:role/r"},
		{"aws-sqs-queue", "awsAccessKeyID", 'A', "secret", nil, "", "awsSecretAccessKey is missing"},
		{"aws-sqs-queue", "awsAccessKeyID", 'M', "AKIA", map[string]string{"awsSecretAccessKeyFromEnv": "secret"}, "", "accessKeyID=AKIA secretAccessKey=SECRET shop/s/awsSecretAccessKey"},
		{"aws-sqs-queue", "awsAccessKeyId", 'A', "AKIA", map[string]string{"awsSecretAccessKeyFromEnv": "secret"}, "", "accessKeyID=AKIA"},
		{"aws-sqs-queue", "awsSecretAccessKey", 'A', "secret", map[string]string{"awsAccessKeyID": "AKIA"}, "", "secretAccessKey=SECRET shop/s/awsSecretAccessKey"},
		{"aws-sqs-queue", "awsSessionToken", 'A', "secret", map[string]string{"awsAccessKeyID": "AKIA", "awsSecretAccessKeyFromEnv": "secret"}, "", "sessionToken=SECRET shop/s/awsSessionToken"},

		{"postgresql", "connection", 'E', "postgresql://app:hunter2@db.shop.svc:6/shop?sslmode=require", nil, "", "addresses=[db.shop.svc:6] database=shop username=app password=GAP tls=true tlsInsecureSkipVerify=true"},
		{"postgresql", "connection", 'A', "secret", nil, "", "addresses=GAP"},
		{"postgresql", "query", 'M', "SELECT 2", nil, "", "query=SELECT 2"},
		{"postgresql", "targetQueryValue", 'M', "7.5", nil, "", "target=7.5"},
		{"postgresql", "activationTargetQueryValue", 'M', "7", nil, "", "activation=7"},
		{"postgresql", "host", 'A', "h.shop.svc", nil, "", "addresses=[h.shop.svc:5432]"},
		{"postgresql", "host", 'A', "secret", nil, "", "addresses=GAP"},
		{"postgresql", "port", 'M', "7", nil, "", "addresses=[db.shop.svc:7]"},
		{"postgresql", "userName", 'A', "secret", nil, "", "username=GAP"},
		{"postgresql", "dbName", 'M', "d", nil, "", "database=d"},
		{"postgresql", "sslmode", 'M', "verify-full", nil, "", "tls=true allowQueries=true"},
		{"postgresql", "sslmode", 'M', "prefer", nil, "", "changed sslmode"},
		{"postgresql", "sslmode", 'A', "secret", nil, "", "tls=GAP"},
		{"postgresql", "password", 'A', "secret", nil, "", "password=SECRET shop/s/password"},

		{"mysql", "connectionString", 'E', "app:hunter2@tcp(db.shop.svc:6)/shop?tls=true", nil, "", "address=db.shop.svc:6 database=shop username=app password=GAP tls=true"},
		{"mysql", "connectionString", 'A', "secret", nil, "", "address=GAP"},
		{"mysql", "username", 'E', "u", nil, "username", "username=u"},
		{"mysql", "password", 'A', "secret", nil, "", "password=SECRET shop/s/password"},
		{"mysql", "host", 'M', "h.shop.svc", nil, "", "address=h.shop.svc:3306"},
		{"mysql", "host", 'E', "h.shop.svc", nil, "host", "unread hostFromEnv: KEDA never read this key"},
		{"mysql", "port", 'M', "7", nil, "", "address=db.shop.svc:7"},
		{"mysql", "dbName", 'M', "d", nil, "", "database=d"},
		{"mysql", "query", 'M', "SELECT 2", nil, "", "query=SELECT 2"},
		{"mysql", "queryValue", 'M', "7.5", nil, "", "target=7.5"},
		{"mysql", "activationQueryValue", 'M', "7", nil, "", "activation=7"},
		{"mysql", "metricName", 'M', "m", nil, "", "unread metricName"},

		{"prometheus", "serverAddress", 'M', "https://p.shop.svc/path/", nil, "", "url=https://p.shop.svc/path |"},
		{"prometheus", "query", 'M', "down", nil, "", "query=down"},
		{"prometheus", "queryParameters", 'M', "a=b", nil, "", "LEFT queryParameters"},
		{"prometheus", "threshold", 'M', "7.5", nil, "", "target=7.5"},
		{"prometheus", "activationThreshold", 'M', "7.5", nil, "", "activation=7.5"},
		{"prometheus", "namespace", 'M', "n", nil, "", "LEFT namespace"},
		{"prometheus", "customHeaders", 'M', "X-Scope-OrgID=t", nil, "", "tenant=t"},
		{"prometheus", "customHeaders", 'M', "Authorization=t", nil, "", "LEFT headers cannot be carried"},
		{"prometheus", "ignoreNullValues", 'M', "false", nil, "", "same ignoreNullValues"},
		{"prometheus", "ignoreNullValues", 'M', "true", nil, "", "changed query: an empty answer is 0"},
		{"prometheus", "unsafeSsl", 'M', "true", nil, "", "tlsInsecureSkipVerify=true"},
		{"prometheus", "timeout", 'M', "3s", nil, "", "answerTimeout=3s"},
		{"prometheus", "awsRegion", 'M', "r", nil, "", "LEFT awsRegion"},
		{"prometheus", "identityOwner", 'M', "operator", nil, "", "target=3"},
		{"prometheus", "azureManagedPrometheusResourceURL", 'M', "u", nil, "", "LEFT azureManagedPrometheusResourceURL"},
		{"prometheus", "cloud", 'M', "u", nil, "", "target=3"},
		{"prometheus", "authModes", 'M', "oauth", nil, "", "LEFT authModes oauth"},
		{"prometheus", "authMode", 'A', "custom", nil, "", "LEFT authModes custom"},
		{"prometheus", "authModes", 'A', "secret", nil, "", "LEFT authModes is not known"},
		{"prometheus", "bearerToken", 'A', "secret", map[string]string{"authModes": "bearer"}, "", "token=SECRET shop/s/bearerToken"},
		{"prometheus", "token", 'A', "secret", map[string]string{"authMode": "bearer"}, "", "token=SECRET shop/s/token"},
		{"prometheus", "username", 'A', "app", basic, "", "authModes is basic without a password"},
		{"prometheus", "password", 'A', "secret", basic, "", "username is missing"},
		{"prometheus", "cert", 'A', "secret", httpTLS, "", "tlsCertFile=SECRET shop/s/cert"},
		{"prometheus", "key", 'A', "secret", httpTLS, "", "tlsKeyFile=SECRET shop/s/key"},
		{"prometheus", "ca", 'A', "secret", httpTLS, "", "tlsCAFile=SECRET shop/s/ca"},

		{"loki", "serverAddress", 'M', "http://l.shop.svc:3100/", nil, "", "url=http://l.shop.svc:3100/loki"},
		{"loki", "query", 'M', "vector(1)", nil, "", "query=vector(1)"},
		{"loki", "threshold", 'M', "7.5", nil, "", "target=7.5"},
		{"loki", "activationThreshold", 'M', "7", nil, "", "activation=7"},
		{"loki", "tenantName", 'M', "t", nil, "", "tenant=t"},
		{"loki", "ignoreNullValues", 'M', "false", nil, "", "same ignoreNullValues"},
		{"loki", "unsafeSsl", 'M', "true", nil, "", "tlsInsecureSkipVerify=true"},

		{"metrics-api", "targetValue", 'M', "7.5", nil, "", "target=7.5"},
		{"metrics-api", "activationTargetValue", 'M', "7", nil, "", "activation=7"},
		{"metrics-api", "url", 'M', "http://h.shop.svc", nil, "", "url=http://h.shop.svc | path=/ "},
		{"metrics-api", "url", 'M', "http://h.shop.svc/x?api_key=hunter2", nil, "", "LEFT the query of url seems to hold a secret"},
		{"metrics-api", "format", 'M', "xml", nil, "", "LEFT format xml"},
		{"metrics-api", "valueLocation", 'M', "a.b-c.0", nil, "", "value=$['a']['b-c'][0]"},
		{"metrics-api", "valueLocation", 'M', "a.#", nil, "", "LEFT valueLocation"},
		{"metrics-api", "unsafeSsl", 'M', "true", nil, "", "tlsInsecureSkipVerify=true"},
		{"metrics-api", "aggregateFromKubeServiceEndpoints", 'M', "true", nil, "", "LEFT the numbers of several pods"},
		{"metrics-api", "aggregationType", 'M', "sum", nil, "", "target=3"},
		{"metrics-api", "timeout", 'M', "3s", nil, "", "answerTimeout=3s"},
		{"metrics-api", "apiKey", 'A', "secret", map[string]string{"authModes": "apiKey"}, "", "LEFT authModes apiKey"},
	}
	// What logs in by OAuth, Kerberos, a header or a key is left by its mode, and the search by itself.
	left := map[string][]string{
		"kafka":         {"scopes", "oauthTokenEndpointUri", "oauthExtensions", "keytab", "ccacheName", "realm", "kerberosConfig", "kerberosServiceName", "kerberosDisableFAST"},
		"apache-kafka":  {"awsAccessKeyID", "awsSecretAccessKey", "awsSessionToken"},
		"rabbitmq":      {"authMode", "scopes", "scope", "clientSecret", "endpointParams", "customAuthHeader", "customAuthValue", "apiKey", "method", "keyParamName", "bearerToken", "token"},
		"prometheus":    {"oauthTokenURI", "scopes", "scope", "clientID", "clientSecret", "endpointParams", "customAuthHeader", "customAuthValue", "apiKey", "method", "keyParamName"},
		"elasticsearch": {"addresses", "unsafeSsl", "username", "password", "cloudID", "apiKey", "enableTLS", "caCert", "clientCert", "clientKey", "index", "searchTemplateName", "query", "parameters", "valueLocation", "targetValue", "activationTargetValue", "ignoreNullValues", "metricName"},
	}
	for typ, keys := range left {
		for _, key := range keys {
			want := map[string]string{"kafka": "LEFT the engine kafka has no Kerberos", "apache-kafka": "target=10", "rabbitmq": "LEFT KEDA logs in", "prometheus": "LEFT authModes custom", "elasticsearch": "LEFT KEDA reads a number"}[typ]
			with := map[string]map[string]string{"kafka": {"sasl": "gssapi"}, "rabbitmq": {"authModes": "oauth"}, "prometheus": {"authModes": "custom"}}[typ]
			all = append(all, row{typ, key, 'A', "secret", with, "", want})
		}
	}
	return all
}

// trigger is the trigger of a row.
func (r row) trigger() builtin.Trigger {
	t := builtin.Trigger{Type: r.typ, Namespace: "shop", Name: "mailer", KEDANamespace: "keda", Metadata: map[string]builtin.Entry{}, Auth: map[string]builtin.Value{}}
	keys := maps.Clone(minimal()[r.typ])
	delete(keys, r.without)
	maps.Copy(keys, r.with)
	variables := map[string]builtin.Value{}
	value := func(key, text string) builtin.Value {
		if text == "secret" {
			return builtin.Value{Secret: &builtin.Secret{Namespace: "shop", Name: "s", Key: key}}
		}
		return builtin.Value{Text: text, From: "a variable"}
	}
	switch r.from {
	case 'M':
		keys[r.key] = r.value
	case 'E':
		keys[r.key+"FromEnv"] = "VARIABLE"
		variables["VARIABLE"] = value(r.key, r.value)
	default:
		t.Auth[r.key] = value(r.key, r.value)
	}
	for key, text := range keys {
		if plain, is := strings.CutSuffix(key, "FromEnv"); is && text != "VARIABLE" {
			variables[text] = value(plain, text)
		}
		t.Metadata[key] = builtin.Entry{Text: text, Line: 1}
	}
	t.Env = func(name string) builtin.Value { return variables[name] }
	return t
}

// described is a conversion in one line.
func described(c builtin.Conversion) string {
	var b strings.Builder
	if c.Left != "" {
		b.WriteString("LEFT " + c.Left + " | ")
	}
	for _, s := range c.Settings {
		text := s.Text
		switch {
		case s.Gap != "":
			text = "GAP"
		case s.Secret != nil:
			text = "SECRET " + s.Secret.Namespace + "/" + s.Secret.Name + "/" + s.Secret.Key
		case len(s.List) > 0:
			text = fmt.Sprint(s.List)
		}
		b.WriteString(s.Name + "=" + text + " ")
	}
	b.WriteString("| ")
	for _, p := range c.Keys {
		b.WriteString(p.Key + "=" + p.Value + " ")
	}
	for _, f := range c.Findings {
		fmt.Fprintf(&b, "| %s %s: %s ", f.Level, f.Key, f.Text)
	}
	return b.String()
}

// TestKeys converts each key of each trigger.
func TestKeys(t *testing.T) {
	t.Parallel()
	for i, r := range rows() {
		t.Run(fmt.Sprintf("%03d %s %c %s %s", i, r.typ, r.from, r.key, r.value), func(t *testing.T) {
			t.Parallel()
			c, ours := builtin.Convert(r.trigger())
			if got := described(c); !ours || !strings.Contains(got, r.want) {
				t.Errorf("got %s\nwant %s", got, r.want)
			}
			if strings.Contains(described(c), "hunter2") {
				t.Errorf("the secret is shown: %s", described(c))
			}
		})
	}
}

// TestEveryKey wants a row for each key of each family.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	tried := map[[2]string]bool{}
	for _, r := range rows() {
		family, ok := builtin.Find(r.typ)
		if !ok {
			t.Fatalf("%s is no trigger", r.typ)
		}
		tried[[2]string{family.Types[0], r.key}] = true
	}
	// Keys that the code of another family reads.
	shared := map[string]string{"redis-streams": "redis", "apache-kafka": "kafka", "loki": "prometheus", "metrics-api": "prometheus"}
	for _, f := range builtin.Families() {
		for _, k := range f.Keys {
			if !tried[[2]string{f.Types[0], k.Name}] && !tried[[2]string{shared[f.Types[0]], k.Name}] {
				t.Errorf("%s: no row for %s", f.Types[0], k.Name)
			}
			if k.Becomes == "" {
				t.Errorf("%s: %s becomes nothing that is written down", f.Types[0], k.Name)
			}
		}
	}
}
