package jetstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// alarms wake queries at a time. The goroutines that read and that handle messages set them, and run
// wakes.
type alarms struct {
	woken func([]backlog.Query)
	// kick asks run to look at the alarms again.
	kick chan struct{}

	// mu guards set.
	mu  sync.Mutex
	set []alarm
}

// An alarm is queries that are woken at a time.
type alarm struct {
	at      time.Time
	queries []backlog.Query
}

func newAlarms(woken func([]backlog.Query)) *alarms {
	return &alarms{woken: woken, kick: make(chan struct{}, 1)}
}

// add sets an alarm for each of the times.
func (a *alarms) add(queries []backlog.Query, times ...time.Time) {
	if len(queries) == 0 {
		return
	}
	a.mu.Lock()
	for _, at := range times {
		a.set = append(a.set, alarm{at, queries})
	}
	a.mu.Unlock()
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// run wakes until ctx ends.
func (a *alarms) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		case <-timer.C:
		}
		timer.Reset(a.ring(time.Now()))
	}
}

// ring wakes the queries that are due, and returns how long the next ones have time.
func (a *alarms) ring(now time.Time) time.Duration {
	next := time.Hour
	var due [][]backlog.Query
	a.mu.Lock()
	a.set = slices.DeleteFunc(a.set, func(one alarm) bool {
		if one.at.After(now) {
			next = min(next, one.at.Sub(now))
			return false
		}
		due = append(due, one.queries)
		return true
	})
	a.mu.Unlock()
	for _, queries := range due {
		a.woken(queries)
	}
	return next
}
