package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// ErrSpeaksPlainly is a server that does not speak TLS.
var ErrSpeaksPlainly = errors.New("the server does not speak TLS")

// Dial connects to an address, with TLS if there are settings for it.
func Dial(ctx context.Context, address string, settings *tls.Config) (net.Conn, error) {
	dialer := net.Dialer{}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil || settings == nil {
		return conn, err
	}
	return Secure(ctx, conn, settings, address)
}

// Secure negotiates TLS on a connection to an address, whose host is the name of the server unless the
// settings have one. It wraps ErrSpeaksPlainly where that is why it fails, and closes the connection then.
func Secure(ctx context.Context, conn net.Conn, settings *tls.Config, address string) (net.Conn, error) {
	settings = settings.Clone()
	if settings.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("take the server name: %w", err)
		}
		settings.ServerName = host
	}
	secure := tls.Client(conn, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if IsPlaintext(err) {
			err = ErrSpeaksPlainly
		}
		return nil, fmt.Errorf("negotiate TLS: %w", err)
	}
	return secure, nil
}

// DialWithin returns a function that connects while life lasts. An http.Transport goes on to connect for
// later requests where the one that needed the connection has ended.
func DialWithin(life context.Context, timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(life, cancel)()
		return dialer.DialContext(ctx, network, address)
	}
}
