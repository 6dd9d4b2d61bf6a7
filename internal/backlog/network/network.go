// Package network knows how connections fail, and what a user changes then. Engines share it.
package network

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
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

// IsPlaintext reports whether err is a TLS handshake with a server that does not speak TLS.
func IsPlaintext(err error) bool {
	var header tls.RecordHeaderError
	return errors.As(err, &header)
}

// ErrWantsCertificate is a server that refuses the client certificate, or a client without one,
// where an engine knows that from more than one alert.
var ErrWantsCertificate = errors.New("the server refuses the client certificate")

// WantsCertificate reports whether err is an alert with which a server refuses a client
// certificate, or a client that shows none.
func WantsCertificate(err error) bool {
	var alert tls.AlertError
	return errors.Is(err, ErrWantsCertificate) || errors.As(err, &alert) && clientCertificate.MatchString(alert.Error()) ||
		strings.Contains(err.Error(), "remote error: tls:") && clientCertificate.MatchString(err.Error())
}

var clientCertificate = regexp.MustCompile(`certificate required|bad certificate|unknown certificate|handshake failure`)

// An Endpoint is how advice names what is dialled.
type Endpoint struct {
	// Setting is the key of the address, such as "addresses".
	Setting string
	// HangUp is what a server may be that ends the connection at once, such as "is it a proxy, or
	// no Redis?".
	HangUp string
}

// Advice returns what to change where a first connection fails in a known way; empty if that is
// not known. Once a connection has worked the same errors are outages, without a remedy in the
// configuration.
func (e Endpoint) Advice(err error) string {
	var unknown *net.DNSError
	switch {
	case is[x509.UnknownAuthorityError](err):
		return "tlsCAFile: the authority that has signed the server's certificate"
	case is[x509.HostnameError](err):
		return fmt.Sprintf("tlsServerName: a name that the server's certificate has, or %s: such a name", e.Setting)
	case is[x509.CertificateInvalidError](err):
		return "the server's certificate"
	case WantsCertificate(err):
		return "tlsCertFile and tlsKeyFile: a client certificate that the server accepts"
	case errors.As(err, &unknown):
		return fmt.Sprintf("%s: the name %q does not resolve", e.Setting, backlog.RedactValue(unknown.Name))
	case errors.Is(err, syscall.ECONNREFUSED):
		return e.Setting + ", or start the server: nothing listens there"
	case IsDialFailure(err) && IsTimeout(err):
		return e.Setting + ", or the rules of the network: nothing answers there"
	case IsHangUp(err):
		return e.Setting + ": the server ends the connection at once; " + e.HangUp
	default:
		return ""
	}
}

func is[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}
