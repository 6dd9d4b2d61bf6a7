package jetstream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// What a server is that does not begin as one of NATS does.
var (
	errSpeaksTLS  = errors.New("the server speaks TLS")
	errWantsTLS   = errors.New("the server wants TLS")
	errSpeaksHTTP = errors.New("the server speaks HTTP")
	errSilent     = errors.New("the server accepts the connection and says nothing")
)

// A greeting is the first line of a server: https://docs.nats.io/reference/reference-protocols/nats-protocol#info.
type greeting struct {
	ID           string `json:"server_id"`
	Version      string `json:"version"`
	TLSRequired  bool   `json:"tls_required"`
	TLSAvailable bool   `json:"tls_available"`
	Headers      bool   `json:"headers"`
}

// connect connects to an address and reads the greeting. TLS begins before or after it.
func (c *config) connect(ctx context.Context, address string) (*guard, greeting, error) {
	ctx, cancel := context.WithTimeout(ctx, c.dial)
	defer cancel()
	dialer := net.Dialer{}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, greeting{}, err
	}
	// Only the end of the connection ends a read.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	g, hello, err := c.greet(ctx, conn, address)
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil && !errors.Is(err, errSilent) {
			err = fmt.Errorf("%w: %w", err, ctx.Err())
		}
		return nil, greeting{}, err
	}
	return g, hello, nil
}

// greet reads the greeting and negotiates TLS.
func (c *config) greet(ctx context.Context, conn net.Conn, address string) (*guard, greeting, error) {
	var hello greeting
	var err error
	if c.tlsFirst {
		if conn, err = network.Secure(ctx, conn, c.tls, address); err != nil {
			return nil, hello, err
		}
	}
	in := bufio.NewReaderSize(conn, maxLine)
	line, err := readGreeting(ctx, in)
	if err != nil {
		return nil, hello, err
	}
	line = bytes.Clone(line)
	if err := json.Unmarshal(bytes.TrimPrefix(line, []byte("INFO ")), &hello); err != nil {
		return nil, hello, errForeign
	}
	switch {
	case c.tlsFirst:
	case c.tls == nil && hello.TLSRequired:
		return nil, hello, errWantsTLS
	case c.tls != nil && !hello.TLSRequired && !hello.TLSAvailable:
		return nil, hello, network.ErrSpeaksPlainly
	case c.tls != nil && in.Buffered() > 0:
		// It was sent without TLS, so it may come from an attacker on the way.
		return nil, hello, errForeign
	case c.tls != nil:
		if conn, err = network.Secure(ctx, conn, c.tls, address); err != nil {
			return nil, hello, err
		}
		in = bufio.NewReaderSize(conn, maxLine)
	}
	return newGuard(conn, in, line, c.inbox+"."), hello, nil
}

// readGreeting reads the first line. A server of another kind is recognised by its first bytes, or by
// waiting for the client to speak.
func readGreeting(ctx context.Context, in *bufio.Reader) ([]byte, error) {
	first, err := in.Peek(1)
	switch {
	case err != nil && (ctx.Err() != nil || network.IsTimeout(err)):
		return nil, errSilent
	case err != nil:
		return nil, err
	case first[0] == 'H':
		return nil, errSpeaksHTTP
	case first[0] == 0x15 || first[0] == 0x16:
		return nil, errSpeaksTLS
	}
	line, err := readLine(in)
	if err == nil && !bytes.HasPrefix(line, []byte("INFO ")) {
		err = errForeign
	}
	return line, err
}

// A dialled hands the library a connection that exists. It implements nats.CustomDialer.
type dialled struct{ conn net.Conn }

// Dial returns the connection.
func (d dialled) Dial(_, _ string) (net.Conn, error) { return d.conn, nil }

// SkipTLSHandshake reports that TLS was negotiated before.
func (dialled) SkipTLSHandshake() bool { return true }

// maxShown is how many bytes of a server's version or id are kept.
const maxShown = 60

// shown returns a text of a server as it may be kept.
func shown(text string) string { return backlog.Line(text[:min(len(text), maxShown)]) }

// minHandshake is the least bound of the login.
const minHandshake = 2 * time.Second
