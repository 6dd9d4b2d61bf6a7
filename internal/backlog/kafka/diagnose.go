package kafka

import (
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// rightsAdvice is where the rights are described.
const rightsAdvice = "docs/configuration.md, Rights in Kafka"

// isTooOld reports whether a broker does not know a request that is needed.
func isTooOld(err error) bool {
	text := err.Error()
	return strings.Contains(text, "broker is too old") || strings.Contains(text, "below the user defined min")
}

// advised returns err with its reason and with what to change.
func (s *source) advised(err error) error {
	return backlog.WithAdvice(withReason(err), s.advice(err))
}

// advice returns what to change so that err goes away; "" if that is not known.
func (s *source) advice(err error) string {
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return "the rights of the user: DESCRIBE on the topic; " + rightsAdvice
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return "the rights of the user: DESCRIBE on the group; " + rightsAdvice
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "saslMechanism: one that the listener of the broker has"
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "username and password, or token: the broker does not know them"
	case errors.Is(err, kerr.IllegalSaslState):
		return "saslMechanism: none, because the listener has no login"
	case errors.Is(err, kerr.UnsupportedVersion) || isTooOld(err):
		return "the server: Kafka 3.0 is needed, and 4.1 for share groups"
	case s.worked.Load():
		return ""
	}
	return s.foreignAdvice(err)
}

// foreignAdvice returns what to change where a first connection ends at once or makes no sense.
func (s *source) foreignAdvice(err error) string {
	var first *kgo.ErrFirstReadEOF
	switch {
	case strings.Contains(err.Error(), "tls alert record"):
		return "tls: true"
	case network.IsPlaintext(err), errors.As(err, &first) && tlsconfig.Enabled(s.settings):
		return "tls: false and no other tls settings, or addresses: a listener that speaks TLS"
	case (errors.As(err, &first) || strings.Contains(err.Error(), "connection has died")) && !tlsconfig.Enabled(s.settings):
		return "tls: true, or saslMechanism: the broker ends the connection at once, as a listener with TLS or a login does"
	}
	return network.Endpoint{Setting: "addresses", HangUp: "is it a listener with TLS or a login, or no Kafka?"}.Advice(err)
}
