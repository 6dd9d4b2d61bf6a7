package httpapi

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
)

// A Source asks one question for each query. It implements backlog.Source.
type Source struct {
	client *Client
	server func() string
	read   func(context.Context, backlog.Query) (backlog.Reading, error)
	probe  func(context.Context) error

	// gate ends the calls that are under way with the source.
	gate *reads.Gate
}

// NewSource returns a source that answers each query by a call of read, whose error wraps one of
// backlog's errors. Several goroutines call read. server returns the name and version of the
// server, from memory; empty until it is known. The source owns the client. It keeps what ctx
// carries, which may end before.
func NewSource(ctx context.Context, c *Client, server func() string, read func(context.Context, backlog.Query) (backlog.Reading, error)) *Source {
	gate, _ := reads.NewGate(ctx)
	return &Source{client: c, server: server, read: read, probe: c.probe, gate: gate}
}

// WithProbe replaces the question of Probe, and returns the source.
func (s *Source) WithProbe(probe func(context.Context) error) *Source {
	s.probe = probe
	return s
}

// Probe implements backlog.Prober. It asks for the root of the API, whose answer may have any
// content, unless WithProbe has set another question.
func (s *Source) Probe(ctx context.Context) (err error) {
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	defer backlog.Contain(&err)
	return s.probe(ctx)
}

// probe asks for the root of the API.
func (c *Client) probe(ctx context.Context) error {
	if _, err := c.Do(ctx, Request{Path: "/", AllowsPage: true}); err != nil {
		return fmt.Errorf("ask connection %q: %w", c.connection, err)
	}
	return nil
}

// Read implements backlog.Source: at most MaxConnections queries are asked at the same time. A
// panic of one query is its error.
func (s *Source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		for _, q := range queries {
			results = append(results, s.failed(q, &connectionError{err}))
		}
		return results
	}
	defer leave()
	first := len(results)
	results = append(results, make([]backlog.Result, len(queries))...)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(len(queries), MaxConnections) {
		workers.Go(func() {
			for i := range next {
				results[first+i] = s.one(ctx, queries[i])
			}
		})
	}
	// A worker takes the rest of the queries even when its context has ended.
	for i := range queries {
		next <- i
	}
	close(next)
	workers.Wait()
	return results
}

// one asks one query.
func (s *Source) one(ctx context.Context, q backlog.Query) backlog.Result {
	if err := ctx.Err(); err != nil {
		return s.failed(q, &connectionError{fmt.Errorf("%w: %w", backlog.ErrUnavailable, err)})
	}
	reading, err := s.contained(ctx, q)
	switch {
	case errors.Is(err, backlog.ErrPanic):
		s.client.log.ErrorContext(ctx, "a query caused a panic", "layout", q.Layout, "err", err)
		return s.failed(q, fmt.Errorf("%w: %w", backlog.ErrUnavailable, err))
	case err != nil:
		return s.failed(q, err)
	default:
		return backlog.Result{Reading: reading}
	}
}

// failed returns the result of a query that failed, whose error names the query and the connection.
func (s *Source) failed(q backlog.Query, err error) backlog.Result {
	if _, named := errors.AsType[*backlog.ReadError](err); !named {
		_, whole := errors.AsType[*connectionError](err)
		err = &backlog.ReadError{Query: q, Connection: s.client.connection, Err: err, Whole: whole}
	}
	return backlog.Result{Err: err}
}

func (s *Source) contained(ctx context.Context, q backlog.Query) (reading backlog.Reading, err error) {
	defer backlog.Contain(&err)
	return s.read(ctx, q)
}

// Status implements backlog.Source.
func (s *Source) Status() backlog.Status {
	return backlog.Status{Server: s.server(), WakeUp: "poll", IdlePoll: s.client.interval}
}

// Close implements backlog.Source.
func (s *Source) Close() error {
	s.gate.Close()
	s.client.Close()
	return nil
}
