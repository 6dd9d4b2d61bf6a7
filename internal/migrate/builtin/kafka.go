package builtin

// kafkaCommon are the keys of both kafka triggers:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/kafka_scaler.go#L60
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/apache_kafka_scaler.go#L51
func kafkaCommon() []Key {
	return []Key{
		{Name: "bootstrapServers", From: "ME", Becomes: "`addresses`"},
		{Name: "consumerGroup", From: "ME", Becomes: "`consumerGroup`"},
		{Name: "topic", From: "ME", Becomes: "`topic`; without it `topic: \"*\"`"},
		{Name: "partitionLimitation", From: "M", Becomes: "nothing: all partitions count"},
		{Name: "lagThreshold", From: "M", Becomes: "`target`"},
		{Name: "activationLagThreshold", From: "M", Becomes: "`activation`"},
		{Name: "offsetResetPolicy", From: "M", Becomes: "`missingOffset`"},
		{Name: "allowIdleConsumers", From: "M", Becomes: "nothing: no more replicas than partitions with messages"},
		{Name: "excludePersistentLag", From: "M", Becomes: "nothing: all lag counts"},
		{Name: "scaleToZeroOnInvalidOffset", From: "M", Becomes: "`missingOffset: latest`"},
		{Name: "limitToPartitionsWithLag", From: "M", Becomes: "the scaler always does so"},
		{Name: "ensureEvenDistributionOfPartitions", From: "M", Becomes: "nothing: replicas are not rounded to a divisor"},
		{Name: "tls", From: "MA", Becomes: "`tls`; where it is in a Secret it has to be filled in"},
		{Name: "cert", From: "A", Becomes: "`tlsCertFile`"},
		{Name: "key", From: "A", Becomes: "`tlsKeyFile`"},
		{Name: "keyPassword", From: "A", Becomes: "nothing: store the key unencrypted (PKCS#8)"},
		{Name: "ca", From: "A", Becomes: "`tlsCAFile`"},
		{Name: "sasl", From: "MA", Becomes: "`saslMechanism`; Kerberos cannot be carried"},
		{Name: "username", From: "A", Becomes: "`username`"},
		{Name: "password", From: "A", Becomes: "`password`, as a reference"},
		{Name: "awsRegion", From: "M", Becomes: "nothing: there is no login by IAM"},
	}
}

func kafkaFamily() Family {
	return Family{
		Types: []string{"kafka"}, Engine: "kafka", needs: []string{"bootstrapServers", "consumerGroup"}, convert: convertKafka,
		Keys: concat(kafkaCommon(), []Key{
			{Name: "fullMetadata", From: "M", Becomes: "nothing is needed"},
			{Name: "version", From: "M", Becomes: "nothing is needed"},
			{Name: "unsafeSsl", From: "M", Becomes: "`tlsInsecureSkipVerify`"},
			{Name: "saslTokenProvider", From: "MA", Becomes: "a token has to be filled in"},
			{Name: "scopes", From: "A", Becomes: "a token has to be filled in"},
			{Name: "oauthTokenEndpointUri", From: "A", Becomes: "a token has to be filled in"},
			{Name: "oauthExtensions", From: "A", Becomes: "a token has to be filled in"},
			{Name: "keytab", From: "A", Becomes: "nothing: there is no Kerberos"},
			{Name: "ccacheName", From: "A", Becomes: "nothing: there is no Kerberos"},
			{Name: "realm", From: "A", Becomes: "nothing: there is no Kerberos"},
			{Name: "kerberosConfig", From: "A", Becomes: "nothing: there is no Kerberos"},
			{Name: "kerberosServiceName", From: "A", Becomes: "nothing: there is no Kerberos"},
			{Name: "kerberosDisableFAST", From: "A", Becomes: "nothing: there is no Kerberos"},
		}),
	}
}

func apacheKafkaFamily() Family {
	return Family{
		Types: []string{"apache-kafka"}, Engine: "kafka", needs: []string{"bootstrapServers", "consumerGroup"}, convert: convertKafka,
		Keys: concat(kafkaCommon(), []Key{
			{Name: "awsRoleArn", From: "A", Becomes: "nothing: there is no login by IAM", Extra: true},
			{Name: "awsAccessKeyID", From: "A", Becomes: "nothing: there is no login by IAM", Extra: true},
			{Name: "awsSecretAccessKey", From: "A", Becomes: "nothing: there is no login by IAM", Extra: true},
			{Name: "awsSessionToken", From: "A", Becomes: "nothing: there is no login by IAM", Extra: true},
		}),
	}
}

// convertKafka converts a trigger for the lag of a consumer group.
func convertKafka(c *conversion) {
	servers, ok := c.plain("addresses", "bootstrapServers")
	if ok {
		all := split(servers)
		for i := range all {
			all[i] = withPort(all[i], "9092")
		}
		c.addresses(all, "bootstrapServers")
	}
	c.kafkaTLS()
	c.kafkaLogin()
	topic := c.get("topic")
	switch {
	case !topic.IsSet():
		c.put("topic", "*", "")
		c.Layout = "topic"
		c.find(Changed, "consumerGroup", "without topic KEDA takes the topics for which the group has committed offsets; topic: \"*\" matches all topics that the user may describe: name those of the group")
	case c.trigger.Type == "apache-kafka" && topic.IsPlain() && topic.From == "metadata":
		// A list, separated by commas here too.
		c.put("topic", topic.Text, "topic")
		c.Layout, c.Queue = "topic", topic.Text
	default:
		c.queue("topic", "topic", true, "stub")
	}
	if group := c.get("consumerGroup"); group.Key == "consumerGroup"+fromEnv {
		c.Keys = append(c.Keys, Pair{Key: group.Key, Value: c.trigger.Metadata[group.Key].Text, Was: group.Key, Stub: "stub", Resolved: group.Text})
	} else {
		c.put("consumerGroup", group.Text, "consumerGroup")
	}
	c.Was = c.named("topic")
	c.metric("kafka-")
	if !topic.IsSet() {
		c.Was = c.trigger.Type + " consumerGroup=" + c.get("consumerGroup").Text
		c.OldMetric = "kafka-" + c.get("consumerGroup").Text + "-topics"
	}
	c.missingOffset()
	c.target(c.number("lagThreshold", "10", true), "lagThreshold", c.number("activationLagThreshold", "0", true), "activationLagThreshold")
	c.job()
	c.partitions()
}

// missingOffset carries what a partition means for which the group has committed nothing.
func (c *conversion) missingOffset() {
	policy, zero := c.get("offsetResetPolicy").Text, c.flag("scaleToZeroOnInvalidOffset", false)
	if policy != "" && policy != "latest" && policy != "earliest" {
		c.leave("offsetResetPolicy", "KEDA refuses this trigger: offsetResetPolicy is neither latest nor earliest")
		return
	}
	switch {
	case zero:
		// A partition without an offset is 0 for either policy.
		c.put("missingOffset", "latest", "offsetResetPolicy")
		c.find(Same, "scaleToZeroOnInvalidOffset", "a partition without a committed offset counts 0")
	case policy == "earliest":
		c.put("missingOffset", "earliest", "offsetResetPolicy")
		c.find(Same, "offsetResetPolicy", "all messages of a partition without a committed offset count")
	default:
		c.put("missingOffset", "earliest", "offsetResetPolicy")
		c.find(Changed, "offsetResetPolicy", "KEDA counts 1 for a partition without a committed offset, which starts the first consumer; here all its messages count until the group commits. missingOffset: latest counts none, and starts no consumer")
	}
}

// partitions reports what KEDA does with the partitions of a topic.
func (c *conversion) partitions() {
	idle, limit := c.flag("allowIdleConsumers", false), c.flag("limitToPartitionsWithLag", false)
	switch {
	case idle:
		c.find(Cannot, "allowIdleConsumers", "the trigger asks for no more replicas than there are partitions with messages")
	case limit:
		c.find(Same, "limitToPartitionsWithLag", "no more replicas than partitions with messages")
	default:
		c.find(Changed, "lagThreshold", "KEDA asks for no more replicas than there are partitions; here it is no more than partitions with messages, as with limitToPartitionsWithLag")
	}
	if c.flag("ensureEvenDistributionOfPartitions", false) {
		c.find(Cannot, "ensureEvenDistributionOfPartitions", "replicas are not rounded to a divisor of the number of partitions")
	}
	if c.flag("excludePersistentLag", false) {
		c.find(Cannot, "excludePersistentLag", "all lag counts, that of a partition whose offset does not move too")
	}
	if c.get("partitionLimitation").IsSet() {
		c.find(Cannot, "partitionLimitation", "all partitions of the topic count")
	}
	for _, key := range []string{"fullMetadata", "version"} {
		if _, known := c.family.key(key); known && c.get(key).IsSet() {
			c.find(Same, key, "is not needed")
		}
	}
}

func (c *conversion) kafkaTLS() {
	v := c.get("tls")
	on := false
	switch {
	case v.IsSet() && !v.IsPlain():
		why := c.why(v)
		c.find(Gap, "tls", "tls of the connection: %s: write tls: true or false", why)
		c.Settings = append(c.Settings, Setting{Name: "tls", Gap: why, Stub: "true"})
		on = true
	default:
		if on = c.tlsWord(v.Text, "tls"); on {
			c.set("tls", "true")
		}
	}
	c.tlsFiles(on)
}

// kafkaLogin carries the mechanism of SASL and the login.
func (c *conversion) kafkaLogin() {
	if c.trigger.Identity != "" && c.trigger.Identity != "none" {
		c.leave("authenticationRef", "KEDA logs in with a pod identity (%s), which the engine kafka does not have", c.trigger.Identity)
		return
	}
	v := c.get("sasl")
	if v.IsSet() && !v.IsPlain() {
		why := c.why(v)
		c.find(Gap, "sasl", "saslMechanism of the connection: %s: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or none", why)
		c.Settings = append(c.Settings, Setting{Name: "saslMechanism", Gap: why, Stub: "PLAIN"})
		c.kafkaUser()
		return
	}
	mechanisms := map[string]string{"plaintext": "PLAIN", "scram_sha256": "SCRAM-SHA-256", "scram_sha512": "SCRAM-SHA-512"}
	mechanism := mechanisms[v.Text]
	switch {
	case v.Text == "" || v.Text == "none":
		if c.get("username").IsSet() {
			c.find(Unread, "username", "left out: without sasl KEDA does not log in")
		}
	case v.Text == "gssapi":
		c.leave("sasl", "the engine kafka has no Kerberos")
	case v.Text == "oauthbearer" && c.trigger.Type == "kafka":
		c.find(Gap, "sasl", "token of the connection: KEDA gets a token from oauthTokenEndpointUri or AWS; here a program has to write one into a file, which is read again when it changes")
		c.set("saslMechanism", "OAUTHBEARER")
		c.Settings = append(c.Settings, Setting{Name: "token", Kind: KindSecret, Gap: "a file with a token of OAUTHBEARER"})
	case mechanism == "":
		c.leave("sasl", "the engine kafka does not have this mechanism: want %s", "none, plaintext, scram_sha256, scram_sha512 or oauthbearer")
	default:
		c.set("saslMechanism", mechanism)
		c.kafkaUser()
	}
}

// kafkaUser sets user and password, which the mechanisms by password require.
func (c *conversion) kafkaUser() {
	c.require("username", "username")
	if !c.copySecret("password", KindSecret, "password") {
		c.Settings = append(c.Settings, Setting{Name: "password", Kind: KindSecret, Gap: "the password, which KEDA had none of"})
		c.find(Gap, "password", "password of the connection: saslMechanism needs one")
	}
}
