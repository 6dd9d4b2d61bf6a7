package jetstream

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// rightsAdvice is where the rights are described.
const rightsAdvice = "the permissions of the user: docs/configuration.md, Rights in NATS"

// The codes of errors of the API that mean something for a queue:
// https://github.com/nats-io/nats-server/blob/main/server/errors.json.
const (
	codeConsumerNotFound = 10014
	codeAccountDisabled  = 10039
	codeStreamNotFound   = 10059
	codeServerDisabled   = 10076

	// codeBadRequest is the class of errors of a request that makes no sense.
	codeBadRequest = 400
)

var (
	// errNoStream and errNoConsumer are answers that a name does not exist.
	errNoStream   = errors.New("the stream does not exist")
	errNoConsumer = errors.New("the consumer does not exist")
	// errNoResponders is a request that nothing subscribes to.
	errNoResponders = backlog.WithAdvice(fmt.Errorf("%w: no server answers the API of JetStream", backlog.ErrUnavailable),
		"the server: enable JetStream there, and for the account of the user; or domain, apiPrefix: where the API is")
	// errNoContent is an answer that is empty, or whose content the guard has dropped.
	errNoContent = fmt.Errorf("%w: the answer is empty or too large", backlog.ErrMismatch)
)

// errorOf returns an error of the API with its reason. The words of the server are one line.
func errorOf(e *apiError) error {
	text := fmt.Sprintf("%s (%d)", backlog.Line(backlog.Redact(e.Description)), e.ErrCode)
	switch {
	case e.ErrCode == codeStreamNotFound:
		return errNoStream
	case e.ErrCode == codeConsumerNotFound:
		return errNoConsumer
	case e.ErrCode == codeAccountDisabled:
		return backlog.WithAdvice(fmt.Errorf("%w: %s", backlog.ErrUnavailable, text), "the account of the user: enable JetStream for it")
	case e.ErrCode == codeServerDisabled:
		return backlog.WithAdvice(fmt.Errorf("%w: %s", backlog.ErrUnavailable, text), "the server: enable JetStream there; or addresses: a server of its cluster")
	case e.Code == codeBadRequest:
		return fmt.Errorf("%w: %s", backlog.ErrMismatch, text)
	default:
		return fmt.Errorf("%w: %s", backlog.ErrUnavailable, text)
	}
}

// errNoRight is a request that the user may not publish.
func errNoRight(subject string) error {
	return backlog.WithAdvice(fmt.Errorf("%w: no right to publish to %q", backlog.ErrDenied, backlog.Line(subject)), rightsAdvice)
}

// errNoInbox is an inbox that the user may not subscribe to.
func errNoInbox(prefix string) error {
	return backlog.WithAdvice(fmt.Errorf("%w: no right to subscribe to %q", backlog.ErrDenied, prefix+".>"),
		"inboxPrefix: one that the user may subscribe to, or "+rightsAdvice)
}

// isDenial reports whether the server refuses the login. Some of its words have no error of the library.
func isDenial(err error, said string) bool {
	for _, refused := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, refused) {
			return true
		}
	}
	said = strings.ToLower(said)
	return strings.HasPrefix(said, "authorization violation") || strings.Contains(said, "authentication")
}

// loginFailure returns why a connection that is open did not become one of a client.
func loginFailure(g *guard, err error) error {
	why, said := g.end()
	text := backlog.Line(backlog.Redact(said))
	switch {
	case errors.Is(err, nats.ErrNkeysNotSupported):
		return backlog.WithAdvice(fmt.Errorf("%w: the server has no logins by NKey or JWT", backlog.ErrDenied), "username and password, or token, in place of credentialsFile or nkeySeedFile")
	case isDenial(err, said):
		return backlog.WithAdvice(fmt.Errorf("%w: the server refuses the login: %s", backlog.ErrDenied, text),
			"username and password, token, credentialsFile or nkeySeedFile: the server does not know them, or they have expired")
	case said != "":
		return fmt.Errorf("%w: the server refuses the connection: %s", backlog.ErrUnavailable, text)
	case why != nil:
		err = why
	}
	return fmt.Errorf("%w: log in: %w", backlog.ErrUnavailable, err)
}

// advised returns err with what to change where a connection fails in a known way. worked reports that a
// connection has worked before, so that what fails now is an outage.
func advised(err error, worked bool) error {
	if _, change := backlog.Advice(err); change != "" {
		return err
	}
	change := ""
	switch {
	case errors.Is(err, errWantsTLS):
		change = "tls: true"
	case errors.Is(err, errSpeaksTLS):
		change = "tls: true and tlsHandshakeFirst: true"
	case errors.Is(err, network.ErrSpeaksPlainly):
		change = "tls: false and no other tls settings, or addresses: a server that speaks TLS; or tlsHandshakeFirst: false"
	case errors.Is(err, errSpeaksHTTP), errors.Is(err, errForeign):
		change = "addresses: the port for clients, which is 4222 as a rule"
	case worked:
	case errors.Is(err, errSilent):
		change = "addresses: the port for clients, which is 4222 as a rule; 8222 is that of the monitoring over HTTP; or tlsHandshakeFirst: true"
	default:
		change = network.Endpoint{Setting: "addresses", HangUp: "is it a proxy, or no NATS?"}.Advice(err)
	}
	return backlog.WithAdvice(err, change)
}
