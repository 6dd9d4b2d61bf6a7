package redis

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

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// probeTime bounds a look at what an address speaks.
	probeTime = time.Second
	// probeAgain is how long what was seen is good for.
	probeAgain = 5 * time.Second
)

// A prober finds out what an address speaks at which a handshake has failed. It sends no
// credentials.
type prober struct {
	// mu guards seen: nodes and scouts of one source share a prober.
	mu   sync.Mutex
	seen map[string]probed
}

// A probed is what was seen at an address.
type probed struct {
	at time.Time
	// what is one of the errors errSpeaks...; nil if nothing is known.
	what error
}

func newProber() *prober { return &prober{seen: make(map[string]probed)} }

// look returns err together with what is known of the address, if the end of a handshake
// raises the question what is spoken there. Settings are those of TLS, nil without. It
// stays within ctx.
func (p *prober) look(ctx context.Context, address string, settings *tls.Config, err error) error {
	if !isQuestionable(err, settings != nil) {
		return err
	}
	what := p.see(ctx, address, func(ctx context.Context) error { return speaks(ctx, address, settings) })
	if what == nil {
		return err
	}
	return fmt.Errorf("%w: %w", what, err)
}

// see returns what was seen at address, looking again if that is too long ago.
func (p *prober) see(ctx context.Context, address string, look func(context.Context) error) error {
	p.mu.Lock()
	last, known := p.seen[address]
	p.mu.Unlock()
	if known && time.Since(last.at) < probeAgain || ctx.Err() != nil {
		return last.what
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	last = probed{what: look(ctx), at: time.Now()}
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
	case err == nil, resp.IsServerError(err), isDialFailure(err):
		return false
	case secure:
		return isHangUp(err) || errors.As(err, &header)
	default:
		return isHangUp(err) || strings.Contains(err.Error(), "invalid reply") || errors.Is(err, errHostileReply)
	}
}

func isDialFailure(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// speaks returns what is spoken at an address where the other protocol was tried in vain.
func speaks(ctx context.Context, address string, settings *tls.Config) error {
	plain := speaksPlainly(ctx, address)
	switch {
	case errors.Is(plain, errSpeaksHTTP), settings != nil && errors.Is(plain, errSpeaksPlainly):
		return plain
	case settings == nil && speaksTLS(ctx, address):
		return errSpeaksTLS
	case settings != nil && wantsOther(ctx, address, settings):
		return errWantsCertificate
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
		return wantsCertificate(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(probeTime / 2))
	_, err = c.Read(make([]byte, 1))
	return err != nil && wantsCertificate(err)
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
		return errSpeaksHTTP
	case bytes.HasPrefix(answer, []byte("+")), bytes.HasPrefix(answer, []byte("-")):
		return errSpeaksPlainly
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
