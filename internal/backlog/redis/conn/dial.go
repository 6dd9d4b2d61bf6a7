package conn

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

// dial connects to address, with TLS if the connection asks for it, bounded by ctx
// and by the dial timeout.
func dial(ctx context.Context, cfg *Config, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAlive: keepAlive}
	inner, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if cfg.TLS == nil {
		return inner, nil
	}
	settings := cfg.TLS.Clone()
	if settings.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = inner.Close()
			return nil, fmt.Errorf("take the server name from %q: %w", address, err)
		}
		settings.ServerName = host
	}
	secure := tls.Client(inner, settings)
	if err := handshake(ctx, cfg.Prober, secure, address); err != nil {
		_ = inner.Close()
		return nil, fmt.Errorf("negotiate TLS: %w", err)
	}
	return secure, nil
}

// slowHandshake is how long a TLS handshake may take before the address is probed. Redis
// without TLS does not answer one, and does not end it.
const slowHandshake = 300 * time.Millisecond

// handshake is HandshakeContext, which ends as soon as the address is known to speak no TLS.
func handshake(ctx context.Context, p *Prober, secure *tls.Conn, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var probing sync.WaitGroup
	probing.Go(func() {
		timer := time.NewTimer(slowHandshake)
		defer timer.Stop()
		select {
		case <-timer.C:
			what := p.probe(ctx, address, func(ctx context.Context) error { return speaksPlainly(ctx, address) })
			if what != nil {
				cancel(what)
			}
		case <-ctx.Done():
		}
	})
	err := secure.HandshakeContext(ctx)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	probing.Wait()
	return err
}

// keepAlive is how long a silent connection waits before TCP asks whether the other
// end is still there.
const keepAlive = 15 * time.Second
