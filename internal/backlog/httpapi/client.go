package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

// The bounds of what a server may cause.
const (
	// MaxBody is how many bytes of a body are read, after decompression.
	MaxBody = 1 << 20
	// MaxHeader is how many bytes the headers of an answer may have.
	MaxHeader = 64 << 10
	// MaxConnections is the number of connections to the server, and of queries of a batch that
	// are asked at the same time.
	MaxConnections = 8
)

// keepAlive is how long an unused connection stays open. It is longer than the interval of a
// query as a rule.
const keepAlive = time.Minute

// A Client sends requests to the API of one connection. Several goroutines may use it.
type Client struct {
	// connection is the name of the connection.
	connection string

	base      *url.URL
	login     login
	http      *http.Client
	transport *http.Transport
	// end ends connections that are being established.
	end      context.CancelFunc
	timeout  time.Duration
	interval time.Duration
	log      *slog.Logger

	// worked reports that the server has answered, so that what fails now is an outage, and not
	// the settings. Each request sets it.
	worked atomic.Bool
}

// New returns a client for a connection. It connects when it is used. The error is a wrong
// setting.
func New(c backlog.Connection, log *slog.Logger) (*Client, error) {
	s := c.Settings
	if err := CheckSettings(s); err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	base, err := baseURL(s.Text("url"))
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	secure, err := tlsconfig.New(s)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	timeout := cmp.Or(s.Duration("answerTimeout"), answerTimeout)
	life, end := context.WithCancel(context.Background())
	transport := &http.Transport{
		Proxy:                  nil, // see the documentation of the package
		DialContext:            network.DialWithin(life, timeout),
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    timeout,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        MaxConnections,
		MaxIdleConns:           MaxConnections,
		MaxIdleConnsPerHost:    MaxConnections,
		IdleConnTimeout:        keepAlive,
		MaxResponseHeaderBytes: MaxHeader,
		// A connection of HTTP/2 outlives a request that got no answer, so a silent one is
		// noticed by a ping.
		HTTP2: &http.HTTP2Config{SendPingTimeout: timeout, PingTimeout: timeout},
	}
	return &Client{
		connection: c.Name,
		base:       base,
		login: login{
			username: s.Text("username"), password: s.Secret("password"), token: s.Secret("token"), tenant: s.Text("tenant"),
		},
		http:      &http.Client{Transport: transport, CheckRedirect: keepRedirect},
		transport: transport,
		end:       end,
		timeout:   timeout,
		interval:  Interval(s),
		log:       log.With("connection", c.Name),
	}, nil
}

// keepRedirect makes a redirect the answer, in place of following it: it would lead the
// credentials, and the scaler, to a server that the configuration does not name.
func keepRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Connection returns the name of the connection.
func (c *Client) Connection() string { return c.connection }

// Close closes the connections. It is idempotent. The caller ends the requests first.
func (c *Client) Close() {
	c.end()
	c.transport.CloseIdleConnections()
}

// A Request is one question to the API.
type Request struct {
	// Method is GET if it is empty.
	Method string
	// Path follows the path of the connection's URL. It begins with "/" and is escaped as in a
	// URL.
	Path string
	// Query is the query of the URL. RawQuery takes its place where the query is given as text.
	Query    url.Values
	RawQuery string
	// Header are further headers, such as those that name a tenant.
	Header http.Header
	// ContentType and Body are sent where Body is not nil.
	ContentType string
	Body        []byte
	// AllowsPage accepts a page in HTML as an answer.
	AllowsPage bool
	// ErrorText returns the server's own description of an error from the body of an answer
	// whose status is 400 or above; "" if the body has none. It may be nil.
	ErrorText func(body []byte) string
	// Timeout takes the place of answerTimeout; zero does not.
	Timeout time.Duration
}

// A Response is an answer whose status is 200 to 299, or 400 to 499 except for 401, 403, 407 and
// 429.
type Response struct {
	Status int
	Body   []byte
	// ErrorText is the server's own description of an error, without secrets.
	ErrorText string
}

// Do sends a request and returns the answer. Errors wrap
//
//   - backlog.ErrUnavailable if no HTTP answer came, or one that says to try again: 429 and 500
//     to 599;
//   - backlog.ErrDenied if the server refuses the credentials: 401, 403 and 407;
//   - backlog.ErrMismatch if the answer is none of an API: a redirect, a page in HTML, or a body
//     of more than MaxBody bytes.
//
// It takes at most answerTimeout, or the timeout of the request.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	bounded, cancel := context.WithTimeout(ctx, cmp.Or(r.Timeout, c.timeout))
	defer cancel()
	answer, err := c.send(bounded, r)
	if err != nil {
		return Response{}, c.networkError(ctx, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxBody+1))
	c.worked.Store(c.worked.Load() || err == nil)
	switch {
	case len(body) > MaxBody:
		return Response{}, fmt.Errorf("%w: the answer has more than %d bytes", backlog.ErrMismatch, MaxBody)
	case err != nil:
		return Response{}, c.networkError(ctx, err)
	}
	return c.judge(answer, body, r)
}

func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	address, err := c.address(r)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodGet), address, body)
	if err != nil {
		return nil, errors.New("make the request: its path or method is not valid")
	}
	if r.Header != nil {
		request.Header = r.Header.Clone()
	}
	request.Header.Set("User-Agent", "backlog-scaler")
	request.Header.Set("Accept", "application/json")
	if r.Body != nil {
		request.Header.Set("Content-Type", r.ContentType)
	}
	c.login.apply(request)
	return c.http.Do(request)
}

// address returns the URL of a request. Nothing in the request can lead to another host.
func (c *Client) address(r Request) (string, error) {
	path, err := url.PathUnescape(r.Path)
	if err != nil || !strings.HasPrefix(r.Path, "/") || HasDots(path) || strings.ContainsAny(r.Path, "?#") {
		return "", fmt.Errorf("%w: the path of the request is not valid", backlog.ErrMismatch)
	}
	target := *c.base
	target.RawPath = c.base.RawPath + r.Path
	target.Path = c.base.Path + path
	target.RawQuery = r.RawQuery
	if r.Query != nil {
		target.RawQuery = r.Query.Encode()
	}
	return target.String(), nil
}

// A login is how the client proves who it is.
type login struct {
	username        string
	password, token backlog.Secret
	tenant          string
}

func (l login) apply(r *http.Request) {
	if l.username != "" {
		r.SetBasicAuth(l.username, l.password.Reveal())
	}
	if l.token.IsSet() {
		r.Header.Set("Authorization", "Bearer "+l.token.Reveal())
	}
	if l.tenant != "" {
		r.Header.Set("X-Scope-OrgID", l.tenant)
	}
}

// isEmpty reports whether no credentials are sent.
func (l login) isEmpty() bool { return l.username == "" && !l.token.IsSet() }

// redact removes the secrets from a text of the server, which may repeat a request.
func (l login) redact(text string) string {
	basic := http.Header{}
	if l.username != "" {
		r := http.Request{Header: basic}
		r.SetBasicAuth(l.username, l.password.Reveal())
	}
	_, encoded, _ := strings.Cut(basic.Get("Authorization"), " ")
	for _, secret := range []string{l.password.Reveal(), l.token.Reveal(), encoded} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return backlog.Redact(text)
}
