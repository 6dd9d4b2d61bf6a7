package lag

import (
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

// rights is where the rights are described that a user needs.
const rights = "the rights of the user: docs/configuration.md, Rights in RabbitMQ"

// What a server is that does not answer as RabbitMQ does for streams.
var (
	errSpeaksAMQP = errors.New("the server speaks AMQP")
	errMute       = errors.New("the server says nothing")
	errNoTLS      = errors.New("the server ends the connection in the handshake of TLS")
)

// codeError returns the error that a code means for a stream; nil if there is none.
func codeError(code stream.Code) error {
	switch code {
	case stream.OK, stream.NoOffset:
		return nil
	case stream.AccessRefused:
		return backlog.WithAdvice(fmt.Errorf("%w: %w", backlog.ErrDenied, code), rights)
	default:
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, code)
	}
}

// loginFailure returns why no connection for streams came about.
func loginFailure(w *dialer.Wire, err error) error {
	var change string
	code, _ := errors.AsType[stream.Code](err)
	switch code {
	case stream.LoginFailed, stream.SaslError, stream.SaslChallenge, stream.LoopbackOnly:
		change = "username and password: the server does not know them, or allows the user only from localhost, as guest"
	case stream.VhostDenied:
		change = "vhost: one that exists and that the user may access"
	case stream.MechanismUnknown:
		change = "sasl: a mechanism that the server has; external needs its plugin rabbitmq_auth_mechanism_ssl"
	case stream.AccessRefused:
		change = rights
	case stream.OK, stream.StreamDoesNotExist, stream.StreamNotAvailable, stream.NoOffset:
		// They are about one stream, and no login ends with them.
	}
	if change != "" {
		return backlog.WithAdvice(fmt.Errorf("%w: %w", backlog.ErrDenied, err), change)
	}
	why, _ := w.End()
	switch {
	case w.Began("\x15\x03"):
		err = dialer.ErrSpeaksTLS
	case w.Began("HTTP"):
		err = dialer.ErrSpeaksHTTP
	case w.Began("AMQP"):
		err = errSpeaksAMQP
	case network.IsTimeout(why) && !w.Heard():
		err = errMute
	case why != nil:
		err = why
	}
	return fmt.Errorf("%w: negotiate the stream protocol: %w", backlog.ErrUnavailable, err)
}

// advised returns err with what to change where a connection for streams fails in a known way.
// worked reports that one has worked before, so that what fails now is an outage.
func advised(err error, worked bool) error {
	if _, change := backlog.Advice(err); change != "" {
		return err
	}
	const port = SettingAddresses + ": the port for streams, which is 5552 as a rule"
	change := ""
	switch {
	case errors.Is(err, dialer.ErrSpeaksTLS):
		change = "tls: true"
	case errors.Is(err, network.ErrSpeaksPlainly), errors.Is(err, errNoTLS) && !worked:
		change = "tls: false, or " + SettingAddresses + ": the port on which the server speaks TLS for streams, which is 5551 as a rule"
	case errors.Is(err, dialer.ErrSpeaksHTTP), errors.Is(err, errSpeaksAMQP), errors.Is(err, stream.ErrProtocol):
		change = port
	case errors.Is(err, errMute) && !worked:
		change = port
	case !worked:
		change = endpoint().Advice(err)
		if network.IsDialFailure(err) && change != "" {
			change += "; the plugin rabbitmq_stream opens the port"
		}
	}
	return backlog.WithAdvice(err, change)
}

// endpoint returns what is dialled.
func endpoint() network.Endpoint {
	return network.Endpoint{Setting: SettingAddresses, HangUp: "is it the port for streams, 5552 as a rule?"}
}
