package sqs

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The keys of a connection.
const (
	settingRegion      = "region"
	settingEndpoint    = "endpoint"
	settingSTSEndpoint = "stsEndpoint"
	settingKeyID       = "accessKeyID"
	settingKey         = "secretAccessKey"
	settingToken       = "sessionToken"
	settingRole        = "roleARN"
	settingExternalID  = "externalID"
	settingBudget      = "callsPerMinute"
	settingActivePoll  = "activePoll"
	settingIdlePoll    = "idlePoll"
	settingEmptyFor    = "emptyFor"
	settingTimeout     = "answerTimeout"
)

// The defaults of the settings.
const (
	// callsPerMinute is what 100 queues with work cost at activePoll, twice over.
	callsPerMinute = 2400
	activePoll     = 5 * time.Second
	idlePoll       = 15 * time.Second
	// emptyFor is for how long the numbers may be behind:
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html.
	emptyFor      = time.Minute
	answerTimeout = 2 * time.Second
)

func settings() []backlog.Parameter {
	return slices.Concat([]backlog.Parameter{
		{Name: settingRegion, Kind: backlog.KindText, Required: true, Doc: "Region of the queues, such as eu-central-1."},
		{Name: settingEndpoint, Kind: backlog.KindText, Doc: "URL of the service where it is not the public one of the region: a VPC endpoint, or a server that speaks the protocol."},
		{Name: settingKeyID, Kind: backlog.KindText, Doc: "ID of an access key. Without one the platform gives the credentials: variables of the environment, a role of the service account (IRSA, EKS Pod Identity), and the role of the node."},
		{Name: settingKey, Kind: backlog.KindSecret, Doc: "Secret of the access key."},
		{Name: settingToken, Kind: backlog.KindSecret, Doc: "Session token, for a key that has one."},
		{Name: settingRole, Kind: backlog.KindText, Doc: "ARN of a role that the scaler assumes with these credentials."},
		{Name: settingExternalID, Kind: backlog.KindText, Doc: "External ID that the role demands."},
		{Name: settingSTSEndpoint, Kind: backlog.KindText, Doc: "URL of the service that gives out the credentials of the role, where it is not the public one of the region."},
		{Name: settingBudget, Kind: backlog.KindInteger, Min: 1, Max: 10_000_000, Default: "2400", Doc: "Most calls in a minute, of all queues together. With more queues than that allows each is read less often."},
		{Name: settingActivePoll, Kind: backlog.KindDuration, Default: activePoll.String(), Doc: "How often a queue is read that has messages, or had some in the last five minutes."},
		{Name: settingIdlePoll, Kind: backlog.KindDuration, Default: idlePoll.String(), Doc: "How often an idle queue is read; after ten minutes half as often, and after an hour a quarter, but once a minute at least."},
		{Name: settingEmptyFor, Kind: backlog.KindDuration, Default: emptyFor.String(), Doc: "For how long SQS has to say that a queue is empty before it is believed. Its numbers may be a minute behind."},
		{Name: settingTimeout, Kind: backlog.KindDuration, Default: answerTimeout.String(), Doc: "Bound of one call."},
	}, tlsconfig.Settings("the host of the endpoint"))
}

// check reports settings that do not go together.
func check(s backlog.Settings) error {
	endpoint, sts := checkURL(s, settingEndpoint), checkURL(s, settingSTSEndpoint)
	role := s.Text(settingRole)
	return errors.Join(endpoint, sts, backlog.JoinFaults(
		backlog.Fault{Present: !isRegion(s.Text(settingRegion)), Text: settingRegion + ": want a region such as eu-central-1"},
		backlog.Fault{Present: s.Text(settingKeyID) != "" && !s.Secret(settingKey).IsSet(), Text: settingKeyID + ": needs a " + settingKey},
		backlog.Fault{Present: s.Text(settingKeyID) == "" && s.Secret(settingKey).IsSet(), Text: settingKey + ": needs an " + settingKeyID},
		backlog.Fault{Present: s.Text(settingKeyID) == "" && s.Secret(settingToken).IsSet(), Text: settingToken + ": needs an " + settingKeyID},
		backlog.Fault{Present: role != "" && !isRole(role), Text: settingRole + ": want the ARN of a role, such as arn:aws:iam::123456789012:role/scaler"},
		backlog.Fault{Present: role == "" && s.Text(settingExternalID) != "", Text: settingExternalID + ": needs a " + settingRole},
	), tlsconfig.Check(s, !strings.HasPrefix(s.Text(settingEndpoint), "http:"), settingEndpoint+": a URL that begins with https://"))
}

// checkURL reports a setting that is no URL of a service.
func checkURL(s backlog.Settings, setting string) error {
	text := s.Text(setting)
	if _, is := parseURL(text); text != "" && !is {
		return fmt.Errorf("%s: want a URL that begins with https:// or http://, without a user, a query and a fragment", setting)
	}
	return nil
}

// parseURL parses the URL of a service or a queue.
func parseURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	is := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
	return u, is && len(text) <= maxURL
}

// options are the settings of a connection, ready for use.
type options struct {
	// name is that of the connection.
	name, region, endpoint, stsEndpoint string

	limits            limits
	emptyFor, timeout time.Duration
}

func newOptions(c backlog.Connection) (*options, error) {
	s := c.Settings
	if err := check(s); err != nil {
		return nil, err
	}
	return &options{
		name: c.Name, region: s.Text(settingRegion), endpoint: s.Text(settingEndpoint), stsEndpoint: s.Text(settingSTSEndpoint),
		limits: limits{
			perMinute: cmp.Or(s.Integer(settingBudget), callsPerMinute),
			active:    cmp.Or(s.Duration(settingActivePoll), activePoll),
			idle:      cmp.Or(s.Duration(settingIdlePoll), idlePoll),
		},
		emptyFor: cmp.Or(s.Duration(settingEmptyFor), emptyFor),
		timeout:  cmp.Or(s.Duration(settingTimeout), answerTimeout),
	}, nil
}
