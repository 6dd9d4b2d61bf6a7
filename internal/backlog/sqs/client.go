package sqs

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig"
)

const (
	// maxConnections is the number of connections to the service, and of calls at the same time.
	maxConnections = 3
	// keepAlive is how long an unused connection stays open.
	keepAlive = 90 * time.Second
	// maxBody is how many bytes of an answer are read, and maxHeader how many its headers may have.
	maxBody   = 64 << 10
	maxHeader = 64 << 10
)

// A client calls the service.
type client struct {
	*sqs.Client

	transport *http.Transport
	// end ends connections that are being established.
	end context.CancelFunc
}

// newClient returns a client for a connection. It connects when it is used.
func newClient(ctx context.Context, c backlog.Connection, cfg *options) (*client, error) {
	secure, err := tlsconfig.New(c.Settings)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	transport := &http.Transport{
		Proxy:                  proxyOf,
		DialContext:            network.DialWithin(life, cfg.timeout),
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    cfg.timeout,
		MaxConnsPerHost:        maxConnections,
		MaxIdleConnsPerHost:    maxConnections,
		IdleConnTimeout:        keepAlive,
		MaxResponseHeaderBytes: maxHeader,
	}
	base := aws.Config{
		Region: cfg.region,
		HTTPClient: &http.Client{
			Transport: bounded{transport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Logger: logging.Nop{},
		// The next read is the next attempt.
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	if base.Credentials, err = credentialsFor(c.Settings, base, cfg.stsEndpoint); err != nil {
		end()
		return nil, err
	}
	return &client{
		Client: sqs.NewFromConfig(base, func(o *sqs.Options) { o.BaseEndpoint = override(cfg.endpoint) }), transport: transport, end: end,
	}, nil
}

// override returns a text for an option that is nil where it is not set.
func override(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// Close ends the connections. The caller ends the calls first.
func (c *client) Close() {
	c.end()
	c.transport.CloseIdleConnections()
}

// bounded bounds the bodies of answers.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if answer != nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxBody)
	}
	return answer, err
}

// isTooLong reports whether err is an answer of more than maxBody bytes.
func isTooLong(err error) bool {
	_, is := errors.AsType[*http.MaxBytesError](err)
	return is
}

// proxyOf returns the proxy that the environment names, for what is encrypted alone: a proxy sees all else, such
// as the token for an agent on the node.
func proxyOf(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme != "https" {
		return nil, nil //nolint:nilnil // no proxy, as http.Transport has it
	}
	return http.ProxyFromEnvironment(r)
}
