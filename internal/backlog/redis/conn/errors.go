package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
)

// ErrClosed is the use of a connection after its owner has closed it for good.
var ErrClosed = errors.New("the source is closed")

// What a connection has met that is not what its settings say. Each is known from what the
// other end has sent, never guessed.
var (
	ErrIsSentinel       = errors.New("the server is a sentinel")
	ErrNoSentinel       = errors.New("the server is no sentinel")
	ErrIsClusterNode    = errors.New("the server is a node of a cluster")
	ErrSpeaksTLS        = errors.New("the server speaks TLS")
	ErrSpeaksPlainly    = errors.New("the server does not speak TLS")
	ErrWantsCertificate = errors.New("the server refuses the client certificate")
	ErrSpeaksHTTP       = errors.New("an HTTP server answers, not Redis")
)

// IsTimeout reports whether err is an answer that did not come in time.
func IsTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// IsHangUp reports whether err is a connection that the other end has closed.
func IsHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// IsDialFailure reports whether err is a connection that was never established.
func IsDialFailure(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// WantsCertificate reports whether err is an alert with which a server refuses a client
// certificate, or a client that shows none.
func WantsCertificate(err error) bool {
	var alert tls.AlertError
	return errors.As(err, &alert) && clientCertificate.MatchString(alert.Error()) ||
		strings.Contains(err.Error(), "remote error: tls:") && clientCertificate.MatchString(err.Error())
}

var clientCertificate = regexp.MustCompile(`certificate required|bad certificate|unknown certificate|handshake failure`)
