package builtin

import (
	"net/url"
	"strings"
)

// jetstreamFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/nats_jetstream_scaler.go#L37.
func jetstreamFamily() Family {
	return Family{
		Types: []string{"nats-jetstream"}, Engine: "jetstream", needs: []string{"stream", "consumer", "natsServerMonitoringEndpoint"}, convert: convertJetStream,
		Keys: []Key{
			{Name: "account", From: "AM", Becomes: "nothing: the account follows from the login"},
			{Name: "accountID", From: "AM", Becomes: "nothing: the account follows from the login"},
			{Name: "stream", From: "M", Becomes: "`stream`"},
			{Name: "consumer", From: "M", Becomes: "`consumer`"},
			{Name: "lagThreshold", From: "M", Becomes: "`target`"},
			{Name: "activationLagThreshold", From: "M", Becomes: "`activation`"},
			{Name: "useHttps", From: "M", Becomes: "nothing: the monitoring is not asked"},
			{Name: "natsServerMonitoringEndpoint", From: "AM", Becomes: "`addresses`, the port for clients, which has to be filled in"},
		},
	}
}

func convertJetStream(c *conversion) {
	v := c.get("natsServerMonitoringEndpoint")
	gap := "the addresses for clients, whose port is 4222 as a rule"
	if v.IsPlain() {
		name := strings.TrimPrefix(strings.TrimPrefix(v.Text, "http://"), "https://")
		name = host(name[strings.LastIndexByte(name, '@')+1:])
		c.Host = name
		gap += ": KEDA asks the monitoring at " + shown(v.Text) + ", so perhaps " + shown(name+":4222")
	}
	c.find(Gap, "natsServerMonitoringEndpoint", "addresses and login of the connection: %s. The monitoring knows no login: add username and password, token, credentialsFile or nkeySeedFile where the server wants one", gap)
	c.gap("addresses", "%s", gap)
	for _, key := range []string{"account", "accountID"} {
		if c.get(key).IsSet() {
			c.find(Changed, key, "the account is that of the login of the connection")
		}
	}
	c.queue("stream", "stream", false, "")
	c.put("consumer", c.get("consumer").Text, "consumer")
	c.Was = c.named("stream")
	c.metric("nats-jetstream-")
	c.target(c.number("lagThreshold", "10", true), "lagThreshold", c.number("activationLagThreshold", "0", true), "activationLagThreshold")
	c.job()
	c.find(Same, "stream", "messages that were not delivered, and those that are not acknowledged")
	c.find(Better, "consumer", "a consumer that does not exist leaves its messages in the count; KEDA gets an error")
}

// sqsFamily is that of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/aws_sqs_queue_scaler.go#L31, with the
// login of https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/aws/aws_common.go#L82.
func sqsFamily() Family {
	return Family{
		Types: []string{"aws-sqs-queue"}, Engine: "sqs", needs: []string{"queueURL", "awsRegion"}, convert: convertSQS,
		Keys: []Key{
			{Name: "queueURL", From: "ME", Becomes: "`queue`"},
			{Name: "awsRegion", From: "MA", Becomes: "`region`"},
			{Name: "awsEndpoint", From: "M", Becomes: "`endpoint`"},
			{Name: "queueLength", From: "M", Becomes: "`target`"},
			{Name: "activationQueueLength", From: "M", Becomes: "`activation`"},
			{Name: "scaleOnInFlight", From: "M", Becomes: "`count: ready` where it is false"},
			{Name: "scaleOnDelayed", From: "M", Becomes: "`countDelayed`"},
			{Name: "identityOwner", From: "M", Becomes: "nothing: one role for each connection"},
			{Name: "awsRoleArn", From: "A", Becomes: "`roleARN`, whose trust policy has to name the scaler", Extra: true},
			{Name: "awsAccessKeyID", From: "AME", Becomes: "`accessKeyID`", Extra: true},
			{Name: "awsAccessKeyId", From: "A", Becomes: "`accessKeyID`", Extra: true},
			{Name: "awsSecretAccessKey", From: "AE", Becomes: "`secretAccessKey`, as a reference", Extra: true},
			{Name: "awsSessionToken", From: "A", Becomes: "`sessionToken`, as a reference", Extra: true},
		},
	}
}

func convertSQS(c *conversion) {
	c.require("region", "awsRegion")
	if endpoint := c.get("awsEndpoint").Text; endpoint != "" {
		c.set("endpoint", endpoint)
	}
	c.Host = "sqs-" + c.get("awsRegion").Text
	c.sqsLogin()
	c.queue("queue", "queueURL", true, "stub")
	c.Was = c.named("queueURL")
	c.metric("aws-sqs-")
	if c.OldMetric != "" {
		c.OldMetric = "aws-sqs-" + queueName(c.Queue)
	}
	c.target(c.number("queueLength", "5", true), "queueLength", c.number("activationQueueLength", "0", true), "activationQueueLength")
	if c.flag("scaleOnDelayed", false) {
		c.put("countDelayed", "true", "scaleOnDelayed")
	}
	if c.flag("scaleOnInFlight", true) {
		c.find(Same, "queueURL", "messages that can be received, and those that were received and not deleted")
	} else {
		c.count("ready,due")
		c.find(Better, "scaleOnInFlight", "messages that were received and not deleted do not count, but keep the workload running")
	}
	c.job()
	c.find(Changed, "queueURL", "zero is believed after emptyFor (1m), because SQS says zero of a queue with work now and then; KEDA believes it at once")
}

// queueName returns the name at the end of the URL of a queue.
func queueName(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	}
	return text
}

// sqsLogin carries keys, or a role: https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/aws/aws_common.go#L82.
func (c *conversion) sqsLogin() {
	role := c.get("awsRoleArn")
	keyed := c.get("awsAccessKeyID", "awsAccessKeyId").IsSet()
	switch {
	case c.trigger.Identity == "aws" && c.trigger.Role != "":
		c.set("roleARN", c.trigger.Role)
		c.set("externalID", c.trigger.ExternalID)
		c.find(Changed, "authenticationRef", "the scaler assumes the role of the pod identity: its trust policy has to name the role of the scaler's service account")
	case role.IsSet():
		c.copyText("roleARN", "awsRoleArn")
		c.find(Changed, "awsRoleArn", "the scaler assumes the role: its trust policy has to name the role of the scaler's service account")
	case keyed && c.trigger.Identity != "aws":
		c.copyText("accessKeyID", "awsAccessKeyID", "awsAccessKeyId")
		if !c.copySecret("secretAccessKey", KindSecret, "awsSecretAccessKey") {
			c.leave("awsSecretAccessKey", "KEDA refuses this trigger: awsSecretAccessKey is missing")
		}
		c.copySecret("sessionToken", KindSecret, "awsSessionToken")
	case c.trigger.AuthUnknown != "" && c.trigger.Identity == "":
		// The gap of the TriggerAuthentication says so.
	case c.trigger.Identity == "" && c.get("identityOwner").Text != "operator":
		c.leave("awsRegion", "KEDA refuses this trigger: it has neither a key nor a pod identity")
	default:
		c.find(Changed, "identityOwner", "the role of KEDA, or of the workload, read the queue. The scaler reads with the role of its own service account, which needs sqs:GetQueueAttributes and sqs:GetQueueUrl; roleARN names another one")
	}
	if c.get("identityOwner").IsSet() && c.trigger.Identity != "" {
		c.find(Unread, "identityOwner", "KEDA ignores it next to a pod identity")
	}
}
