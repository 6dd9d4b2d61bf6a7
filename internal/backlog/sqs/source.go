package sqs

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/time/rate"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/reads"
)

// forgetAfter is how long a queue is remembered that is not read any more.
const forgetAfter = 10 * time.Minute

// A source reads the queues of one connection. It implements backlog.Source, backlog.Pacer and
// backlog.Prober.
type source struct {
	*options

	client *client
	budget *rate.Limiter
	log    *slog.Logger
	// gate ends the calls that are under way with the source.
	gate *reads.Gate
	// calls is how many calls were made.
	calls atomic.Uint64
	// worked reports that the service has answered, so that what fails now is an outage.
	worked atomic.Bool

	// mu guards what follows.
	mu     sync.Mutex
	queues map[backlog.Query]*queue
	swept  time.Time
}

// A queue is what is known of one.
type queue struct {
	history

	name     name
	counting counting
	// url is where it is, once it is known.
	url string
	// read is when it was asked for last, and postponed how soon it is to be read because there was no
	// call for it; zero if there was one.
	read      time.Time
	postponed time.Duration
}

// open returns a source for a connection. It connects when it is read.
func open(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
	o, err := newOptions(c)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	client, err := newClient(ctx, c, o)
	if err != nil {
		return nil, fmt.Errorf("open connection %q: %w", c.Name, err)
	}
	gate, _ := reads.NewGate(ctx)
	return &source{
		options: o, client: client, budget: o.limits.limiter(), log: log.With("connection", c.Name), gate: gate, queues: make(map[backlog.Query]*queue),
	}, nil
}

// Status implements backlog.Source.
func (s *source) Status() backlog.Status {
	status := backlog.Status{WakeUp: "poll", IdlePoll: s.limits.idle, Calls: &backlog.Calls{Made: s.calls.Load(), PerMinute: s.limits.perMinute}}
	if s.worked.Load() {
		status.Server = "Amazon SQS, " + s.region
		if u, err := url.Parse(s.endpoint); err == nil && u.Host != "" {
			status.Server = "SQS at " + u.Host
		}
	}
	return status
}

// Pause implements backlog.Pacer.
func (s *source) Pause(q backlog.Query) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.queues[q]
	switch {
	case one == nil:
		return s.limits.idle
	case one.postponed > 0:
		return one.postponed
	}
	pause := s.limits.pause(time.Since(one.worked), len(s.queues))
	if one.isDoubted() {
		pause = min(pause, max(s.emptyFor/leastZeros, time.Millisecond))
	}
	return pause
}

// Probe implements backlog.Prober. The user may have the rights to ask for queues only.
func (s *source) Probe(ctx context.Context) error {
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	one := int32(1)
	err = s.call(ctx, func(ctx context.Context) error {
		_, err := s.client.ListQueues(ctx, &sqs.ListQueuesInput{MaxResults: &one})
		return err
	})
	if err != nil && !isForbidden(err) {
		return fmt.Errorf("ask connection %q: %w", s.name, err)
	}
	return nil
}

// Close implements backlog.Source.
func (s *source) Close() error {
	s.gate.Close()
	s.client.Close()
	return nil
}

// queueOf returns what is known of the queue of a query.
func (s *source) queueOf(q backlog.Query, now time.Time) (*queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	one := s.queues[q]
	if one == nil {
		n, err := parseName(q.Queue)
		switch {
		case q.Layout != layoutQueue:
			return nil, fmt.Errorf("%w: there is no layout %q", backlog.ErrMismatch, q.Layout)
		case err != nil:
			return nil, errNoSuchName
		}
		if account := q.Params.Get(paramAccount); account != "" {
			n.account = account
		}
		one = &queue{name: n, url: n.url, counting: countingOf(q)}
		s.queues[q] = one
	}
	one.read = now
	return one, nil
}

// errNoSuchName is a name that no queue can have, so that there is none. Triggers with one are refused.
var errNoSuchName = fmt.Errorf("%w: no queue can have the name", backlog.ErrMismatch)

// sweep forgets queues that are not read any more. mu is held.
func (s *source) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Minute {
		return
	}
	s.swept = now
	for q, one := range s.queues {
		if now.Sub(one.read) > forgetAfter {
			delete(s.queues, q)
		}
	}
}
