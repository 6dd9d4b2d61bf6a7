package httpapi

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// endpoint returns what is dialled.
func endpoint() network.Endpoint {
	return network.Endpoint{Setting: "url", HangUp: "does it speak HTTP, and without TLS?"}
}

// What a server sent that is no answer of an API. Each is known from what it has sent.
var (
	errSpeaksTLS  = errors.New("the server speaks TLS")
	errNoHTTP     = errors.New("the server sends something that is not HTTP")
	errBigHeader  = fmt.Errorf("the answer has more than %d bytes of headers", MaxHeader)
	errCompressed = errors.New("the compressed answer cannot be decompressed")
)

// A connectionError is an error that concerns the connection, so that it reveals nothing of a query.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return e.err.Error() }

func (e *connectionError) Unwrap() error { return e.err }

// networkError returns why no answer came, in an error that wraps one of backlog's errors. While
// the server has never answered it says what to change. ctx is that of the caller.
func (c *Client) networkError(ctx context.Context, err error) error {
	if errors.Is(err, backlog.ErrMismatch) {
		return err
	}
	// The text of a url.Error holds the whole query.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if what := foreign(err); what != nil {
		return &connectionError{backlog.WithAdvice(fmt.Errorf("%w: %w", backlog.ErrUnavailable, what), foreignAdvice(what))}
	}
	change := ""
	if !c.worked.Load() {
		change = endpoint().Advice(err)
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case network.IsTimeout(err):
		err = fmt.Errorf("no whole answer within %s: %w", c.timeout, context.DeadlineExceeded)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("the server ends the connection: %w", err)
	}
	return &connectionError{backlog.WithAdvice(fmt.Errorf("%w: %w", backlog.ErrUnavailable, err), change)}
}

// foreign returns what a server sent in place of an answer; nil if it sent none. The errors of
// net/http that are known by their text alone repeat what the server sent.
func foreign(err error) error {
	var header tls.RecordHeaderError
	text := err.Error()
	switch {
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return errSpeaksTLS
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &header):
		return network.ErrSpeaksPlainly
	case strings.Contains(text, "response headers exceeded"), strings.Contains(text, "header list too large"):
		return errBigHeader
	case isCompression(err):
		return errCompressed
	case strings.Contains(text, "malformed"), strings.Contains(text, "invalid byte in chunk length"),
		strings.Contains(text, "unsupported transfer encoding"), strings.Contains(text, "too many transfer encodings"),
		strings.Contains(text, "bad Content-Length"), strings.Contains(text, "chunked"), strings.Contains(text, "chunk line"),
		strings.Contains(text, "too many 1xx"), strings.Contains(text, "unexpected 101"):
		return errNoHTTP
	default:
		return nil
	}
}

// isCompression reports whether err is a body that is not compressed as its header says.
func isCompression(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt)
}

func foreignAdvice(what error) string {
	switch {
	case errors.Is(what, errSpeaksTLS):
		return "url: https:// in place of http://"
	case errors.Is(what, network.ErrSpeaksPlainly):
		return "url: http:// in place of https://, or the port on which the server speaks TLS"
	case errors.Is(what, errNoHTTP):
		return "url: the host and port of the API"
	default:
		return ""
	}
}
