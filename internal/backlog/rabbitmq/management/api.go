// Package management asks the management API of RabbitMQ for the queues and exchanges of a virtual host:
// https://www.rabbitmq.com/docs/http-api-reference.
package management

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
)

const (
	// demandGap is the least time between two listings that a read asks for, and demandShare the
	// least share of time between them: a listing of 2,000 queues takes the server 0.4 s.
	demandGap   = 250 * time.Millisecond
	demandShare = 10
	// retryGap is the longest wait after a listing that failed.
	retryGap = time.Second
	// inUse is for how long after a read queues are listed.
	inUse = 30 * time.Second
)

// An API asks the management API for the queues of the virtual host, in the background.
type API struct {
	client *httpapi.Client
	// vhost is the escaped name of the virtual host.
	vhost    string
	interval time.Duration
	// demanded is called after each listing that a read asked for.
	demanded func()
	// wanted has a value when a listing is wanted at once.
	wanted chan struct{}

	// mu guards what follows. Readers read it, and Run writes it.
	mu sync.Mutex
	// last is the last listing, nil if there is none yet; err is why the last attempt failed, nil if
	// it did not.
	last *Listing
	err  error
	// tried is closed when an attempt ends, and replaced.
	tried chan struct{}
	// began and took are of the last attempt, read is when a queue was last read, and demand reports
	// that a read waits for a listing.
	began, read time.Time
	took        time.Duration
	demand      bool
	worked      bool
}

// New returns an API for the settings of a connection, whose queues are listed once in an interval.
// demanded is called after each listing that a read asked for. Run lists them.
func New(c backlog.Connection, cfg *dialer.Config, interval time.Duration, demanded func(), log *slog.Logger) (*API, error) {
	c.Settings = apiSettings(c.Settings)
	client, err := httpapi.New(c, log)
	if err != nil {
		return nil, errors.New(renamed(err.Error()))
	}
	return &API{
		client: client, vhost: url.PathEscape(cfg.Vhost), interval: interval,
		demanded: demanded, wanted: make(chan struct{}, 1), tried: make(chan struct{}),
	}, nil
}

// Run lists the queues until ctx ends.
func (m *API) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			m.client.Close()
			return
		case <-m.wanted:
		case <-timer.C:
		}
		wait := m.wait(time.Now())
		if wait <= 0 {
			m.refresh(ctx)
			wait = m.wait(time.Now())
		}
		timer.Reset(wait)
	}
}

// wait returns how long it is until the next listing.
func (m *API) wait(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.read.IsZero() || now.Sub(m.read) > inUse {
		return time.Hour // a read ends it
	}
	next := m.began.Add(max(m.interval, 2*m.took))
	switch {
	case m.began.IsZero():
		next = now
	case m.err != nil:
		next = m.began.Add(min(m.interval, retryGap))
	case m.demand:
		next = m.began.Add(max(min(demandGap, m.interval), demandShare*m.took))
	}
	return next.Sub(now)
}

// refresh lists the queues.
func (m *API) refresh(ctx context.Context) {
	m.mu.Lock()
	before := m.last
	m.mu.Unlock()
	began := time.Now()
	queues, err := m.list(ctx)
	m.mu.Lock()
	m.began, m.took, m.err = began, time.Since(began), err
	if err == nil {
		m.last, m.worked = newListing(began, queues, before), true
	}
	demand := m.demand
	m.demand = m.demand && err != nil
	close(m.tried)
	m.tried = make(chan struct{})
	m.mu.Unlock()
	if demand {
		m.demanded()
	}
}

// list asks for all queues.
func (m *API) list(ctx context.Context) (queues map[string]Queue, err error) {
	queues = make(map[string]Queue)
	query := url.Values{"disable_stats": {"true"}, "enable_queue_totals": {"true"}, "columns": {columns}}
	return queues, m.pages(ctx, "/api/queues/", query, func(body []byte) (int, error) { return parsePage(body, queues) })
}

// pages asks for all pages of what the virtual host has. parse returns their number.
func (m *API) pages(ctx context.Context, path string, query url.Values, parse func(body []byte) (pages int, err error)) (err error) {
	defer backlog.Contain(&err)
	for number := 1; ; number++ {
		query.Set("page", strconv.Itoa(number))
		query.Set("page_size", strconv.Itoa(pageSize))
		response, err := m.client.Do(ctx, httpapi.Request{Path: path + m.vhost, Query: query, ErrorText: errorText})
		if err != nil {
			return m.failure(err)
		}
		switch {
		case response.Status == http.StatusOK:
		case number > 1 && response.Status == http.StatusBadRequest:
			return nil // some were deleted meanwhile, so that there is no such page any more
		default:
			return backlog.WithAdvice(response.Error(backlog.ErrMismatch), "vhost: one that exists, or managementURL: the address of the management API")
		}
		if pages, err := parse(response.Body); err != nil || number >= pages {
			return err
		}
	}
}

// failure returns an error of the client with the names of the engine's settings.
func (m *API) failure(err error) error {
	text, change := backlog.Advice(err)
	if change == "" {
		return err
	}
	reason := backlog.ErrUnavailable
	for _, known := range []error{backlog.ErrDenied, backlog.ErrMismatch} {
		if errors.Is(err, known) {
			reason = known
		}
	}
	return backlog.WithAdvice(&managementError{text: text, reason: reason}, renamed(change))
}

// A managementError is an error of the client without its advice.
type managementError struct {
	text   string
	reason error
}

func (e *managementError) Error() string { return e.text }

func (e *managementError) Unwrap() error { return e.reason }

// errorText returns the description of an error, such as "not_authorized: Login failed".
func errorText(body []byte) string {
	var answer struct {
		Error  text `json:"error"`
		Reason text `json:"reason"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		return ""
	}
	return string(answer.Error) + ": " + string(answer.Reason)
}

// Pace is how often the queues are listed: less often where that takes the server long.
func (m *API) Pace() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.interval, 2*m.took)
}

// Latest returns the last listing, nil if there is none, and why the last attempt failed. It waits
// for one that is not older than age, while attempts succeed, for at most limit.
func (m *API) Latest(ctx context.Context, age, limit time.Duration) (*Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	for {
		m.mu.Lock()
		m.read = time.Now()
		last, err, tried := m.last, m.err, m.tried
		fresh := last != nil && start.Sub(last.Began) <= age
		m.demand = m.demand || !fresh
		m.mu.Unlock()
		if fresh {
			return last, err
		}
		// Even where the last attempt failed: Run does not try again while no queue was read for inUse, as
		// in an outage, in which a read ends before it comes here.
		m.want()
		if err != nil {
			return last, err
		}
		select {
		case <-tried:
		case <-ctx.Done():
			return last, fmt.Errorf("%w: the management API does not answer: %w", backlog.ErrUnavailable, ctx.Err())
		}
	}
}

// Ask demands a listing as soon as it may be had.
func (m *API) Ask() {
	m.mu.Lock()
	m.demand = true
	m.mu.Unlock()
	m.want()
}

func (m *API) want() {
	select {
	case m.wanted <- struct{}{}:
	default:
	}
}
