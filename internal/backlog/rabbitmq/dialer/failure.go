package dialer

import (
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// What a server is that does not answer as RabbitMQ does, on any of its ports.
var (
	ErrSpeaksTLS  = errors.New("the server speaks TLS")
	ErrSpeaksHTTP = errors.New("the server speaks HTTP")
)

// What a server is that does not answer as RabbitMQ does for AMQP.
var (
	errSpeaksAMQP1 = errors.New("the server speaks another version of AMQP")
	errNoHandshake = errors.New("the server does not follow the protocol")
	errRefused     = errors.New("the server refuses the username or password")
)

// silentClose is less than how long RabbitMQ waits before it closes the connection of a client whose
// login failed, without a word, because the library does not announce that it understands one. A
// connection that ends sooner was cut:
// https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbit/src/rabbit_reader.erl (SILENT_CLOSE_DELAY, 3 s).
const silentClose = 2500 * time.Millisecond

// Failure returns an error of the library with its reason, which is one of backlog's errors: what the
// server has answered, or else why reading ended.
func (w *Wire) Failure(err error) error {
	if refused, ok := errors.AsType[*amqp.Error](err); ok && refused.Server {
		return withReason(err)
	}
	if why, _ := w.End(); why != nil {
		err = why
	}
	return withReason(err)
}

// withReason returns an error with one of backlog's errors. The words of the server are one line.
func withReason(err error) error {
	refused, ok := errors.AsType[*amqp.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, err)
	}
	text := backlog.Line(backlog.Redact(refused.Reason))
	switch {
	case !refused.Server:
		return fmt.Errorf("%w: %s", backlog.ErrUnavailable, text)
	case refused.Code == amqp.AccessRefused:
		return backlog.WithAdvice(fmt.Errorf("%w: %s", backlog.ErrDenied, text), "the rights of the user: docs/configuration.md, Rights in RabbitMQ")
	case refused.Code == amqp.NotAllowed:
		return backlog.WithAdvice(fmt.Errorf("%w: %s", backlog.ErrDenied, text), "vhost: one that exists and that the user may access")
	case refused.Code == amqp.ResourceLocked:
		return fmt.Errorf("%w: the queue is exclusive to another connection", backlog.ErrMismatch)
	default:
		return fmt.Errorf("%w: %s", backlog.ErrUnavailable, text)
	}
}

// handshakeFailure returns why no connection came about. The library reports refused credentials
// whenever the handshake ends early, so that what happened on the wire decides.
func handshakeFailure(w *Wire, err error) error {
	if refused, ok := errors.AsType[*amqp.Error](err); ok && refused.Server {
		return withReason(err)
	}
	why, quiet := w.End()
	switch {
	case w.Began("\x15\x03"):
		err = ErrSpeaksTLS
	case w.Began("HTTP"):
		err = ErrSpeaksHTTP
	case w.Began("AMQP"):
		err = errSpeaksAMQP1
	case errors.Is(err, amqp.ErrSASL):
		return backlog.WithAdvice(fmt.Errorf("%w: the server does not offer the mechanism", backlog.ErrDenied), "sasl: a mechanism that the server has; external needs its plugin rabbitmq_auth_mechanism_ssl")
	case network.IsHangUp(why) && errors.Is(err, amqp.ErrCredentials) && quiet > silentClose:
		return backlog.WithAdvice(fmt.Errorf("%w: %w", backlog.ErrDenied, errRefused), "username and password: the server does not know them, or allows the user only from localhost, as guest")
	case why != nil:
		err = why
	case errors.Is(err, amqp.ErrCredentials), errors.Is(err, amqp.ErrVhost):
		err = errNoHandshake // the library guesses
	}
	return fmt.Errorf("%w: negotiate AMQP: %w", backlog.ErrUnavailable, err)
}

// endpoint returns what is dialled.
func endpoint() network.Endpoint {
	return network.Endpoint{Setting: "addresses", HangUp: "is it a proxy, or no RabbitMQ?"}
}

// Advised returns err with what to change where a connection fails in a known way. worked reports
// that a connection has worked before, so that what fails now is an outage.
func Advised(err error, worked bool) error {
	if _, change := backlog.Advice(err); change != "" {
		return err
	}
	change := ""
	switch {
	case errors.Is(err, ErrSpeaksTLS):
		change = "tls: true"
	case errors.Is(err, network.ErrSpeaksPlainly):
		change = "tls: false, or addresses: the port on which the server speaks TLS, which is 5671 as a rule"
	case errors.Is(err, ErrSpeaksHTTP):
		change = "addresses: the port for AMQP, which is 5672 as a rule; that of the management API belongs in managementURL"
	case errors.Is(err, errSpeaksAMQP1):
		change = "addresses: a server that speaks AMQP 0-9-1"
	case !worked:
		change = endpoint().Advice(err)
	}
	return backlog.WithAdvice(err, change)
}
