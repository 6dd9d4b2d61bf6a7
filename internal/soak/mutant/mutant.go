// Package mutant breaks engines on purpose, so that it is seen whether a soak finds out.
package mutant

import (
	"context"
	"log/slog"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Zero returns an engine that answers zero for what could not be read.
func Zero(engine backlog.Engine) backlog.Engine {
	return mutate(engine, func(s backlog.Source) backlog.Source {
		if waker, ok := s.(backlog.Confirmer); ok {
			return zeroConfirmer{waker, newZero(s)}
		}
		return newZero(s)
	})
}

// LosesWakeups returns an engine that loses all wake-ups.
func LosesWakeups(engine backlog.Engine) backlog.Engine {
	return mutate(engine, func(s backlog.Source) backlog.Source {
		waker, ok := s.(backlog.Confirmer)
		if !ok {
			return s
		}
		d := &wakeupLoser{Source: s, waker: waker, wakes: make(chan backlog.Wake), lost: make(chan struct{})}
		go d.lose()
		return d
	})
}

func mutate(engine backlog.Engine, change func(backlog.Source) backlog.Source) backlog.Engine {
	open := engine.Open
	engine.Open = func(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
		source, err := open(ctx, c, log)
		if err != nil {
			return nil, err
		}
		return change(source), nil
	}
	return engine
}

// A zero answers zero for what could not be read, as if the same server had answered.
type zero struct {
	backlog.Source
	epochs map[backlog.Query]string
}

func newZero(s backlog.Source) zero { return zero{s, map[backlog.Query]string{}} }

// Read implements backlog.Source.
func (z zero) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	begin := len(results)
	results = z.Source.Read(ctx, queries, results)
	for i, q := range queries {
		result := &results[begin+i]
		if result.Err == nil {
			z.epochs[q] = result.Reading.Epoch
			continue
		}
		*result = backlog.Result{Reading: backlog.Reading{At: time.Now(), Missing: true, Epoch: z.epochs[q]}}
	}
	return results
}

// A zeroConfirmer is a zero that notices changes.
type zeroConfirmer struct {
	backlog.Confirmer
	zero
}

// A wakeupLoser drops wake-ups.
type wakeupLoser struct {
	backlog.Source
	waker backlog.Confirmer
	wakes chan backlog.Wake
	// lost is closed when the wake-ups of the engine have ended.
	lost chan struct{}
}

func (d *wakeupLoser) lose() {
	defer close(d.lost)
	for range d.waker.Wakes() {
	}
}

// Wakes implements backlog.Waker.
func (d *wakeupLoser) Wakes() <-chan backlog.Wake { return d.wakes }

// Confirm implements backlog.Confirmer.
func (d *wakeupLoser) Confirm(ctx context.Context) (time.Time, error) { return d.waker.Confirm(ctx) }

// Close implements backlog.Source.
func (d *wakeupLoser) Close() error {
	select {
	case <-d.lost:
		return nil
	default:
	}
	err := d.Source.Close()
	<-d.lost
	close(d.wakes)
	return err
}
