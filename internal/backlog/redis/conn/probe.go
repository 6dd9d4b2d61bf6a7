package conn

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// probeTime bounds a probe of what an address speaks.
	probeTime = time.Second
	// probeAgain is how long what was seen is good for.
	probeAgain = 5 * time.Second
)

// A Prober finds out what an address speaks at which a handshake has failed. It sends no
// credentials. Any goroutine may use it.
type Prober struct {
	// mu guards seen: all connections of one source share a prober.
	mu   sync.Mutex
	seen map[string]probeResult
}

// A probeResult is what was seen at an address.
type probeResult struct {
	at time.Time
	// what is one of the errors ErrSpeaks...; nil if nothing is known.
	what error
}

// NewProber returns a prober that has seen nothing yet.
func NewProber() *Prober { return &Prober{seen: make(map[string]probeResult)} }

// Diagnose returns err together with what is known of the address, if the end of a handshake
// raises the question what is spoken there. Settings are those of TLS, nil without. It
// stays within ctx.
func (p *Prober) Diagnose(ctx context.Context, address string, settings *tls.Config, err error) error {
	if !isQuestionable(err, settings != nil) {
		return err
	}
	what := p.probe(ctx, address, func(ctx context.Context) error { return speaks(ctx, address, settings) })
	if what == nil {
		return err
	}
	return fmt.Errorf("%w: %w", what, err)
}

// probe returns what was seen at address, probing again if that is too long ago.
func (p *Prober) probe(ctx context.Context, address string, check func(context.Context) error) error {
	p.mu.Lock()
	last, known := p.seen[address]
	p.mu.Unlock()
	if known && time.Since(last.at) < probeAgain || ctx.Err() != nil {
		return last.what
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	last = probeResult{what: check(ctx), at: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[address] = last
	return last.what
}

// isQuestionable reports whether err may come from another protocol than that of the
// settings. A server that did not accept the connection speaks none.
func isQuestionable(err error, secure bool) bool {
	var header tls.RecordHeaderError
	switch {
	case err == nil, resp.IsServerError(err), network.IsDialFailure(err):
		return false
	case secure:
		return network.IsHangUp(err) || errors.As(err, &header)
	default:
		return network.IsHangUp(err) || strings.Contains(err.Error(), "invalid reply") || errors.Is(err, ErrHostileReply)
	}
}

// speaks returns what is spoken at an address where the other protocol was tried in vain.
func speaks(ctx context.Context, address string, settings *tls.Config) error {
	plain := speaksPlainly(ctx, address)
	switch {
	case errors.Is(plain, ErrSpeaksHTTP), settings != nil && errors.Is(plain, ErrSpeaksPlainly):
		return plain
	case settings == nil && speaksTLS(ctx, address):
		return ErrSpeaksTLS
	case settings != nil && wantsOther(ctx, address, settings):
		return network.ErrWantsCertificate
	default:
		return nil
	}
}

// wantsOther reports whether the server refuses the client's certificate, or that there is
// none. Since TLS 1.3 it does so after the handshake, and what a client has sent until then
// can make the refusal be lost.
func wantsOther(ctx context.Context, address string, settings *tls.Config) bool {
	c, err := (&tls.Dialer{Config: settings}).DialContext(ctx, "tcp", address)
	if err != nil {
		return network.WantsCertificate(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(probeTime / 2))
	_, err = c.Read(make([]byte, 1))
	return err != nil && network.WantsCertificate(err)
}

// speaksPlainly sends a PING and looks at the first bytes of the answer.
func speaksPlainly(ctx context.Context, address string) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil
	}
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	_ = c.SetDeadline(time.Now().Add(probeTime / 2))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return nil
	}
	answer := make([]byte, 5)
	n, _ := c.Read(answer)
	switch answer = answer[:n]; {
	case bytes.HasPrefix(answer, []byte("HTTP/")):
		return ErrSpeaksHTTP
	case bytes.HasPrefix(answer, []byte("+")), bytes.HasPrefix(answer, []byte("-")):
		return ErrSpeaksPlainly
	default:
		return nil
	}
}

// speaksTLS reports whether a handshake succeeds, or is refused in TLS. No certificate is
// checked, because nothing is sent that needs to be kept.
func speaksTLS(ctx context.Context, address string) bool {
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing is sent that needs to be kept
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		_ = c.Close()
		return true
	}
	return strings.Contains(err.Error(), "remote error: tls:")
}
