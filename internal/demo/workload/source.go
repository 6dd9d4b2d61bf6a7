package workload

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A source is what the goroutine that produces reports to others.
type source struct {
	// arrival is when the youngest message came, or is due, in nanoseconds of Unix time.
	arrival atomic.Int64
	// next is when the next burst is, likewise; 0 if there is none.
	next atomic.Int64
	// over is set when there is no further burst.
	over atomic.Bool
}

// Arrival returns when the latest message came or, if it was delayed, is due, and the name of
// that moment. It is zero if there was none.
func (w *Workload) Arrival() (at time.Time, what string) {
	what = "the write"
	if w.spec.Bursts.Delay > 0 {
		what = "the due moment"
	}
	return moment(&w.source.arrival), what
}

// Next returns when the messages written last are due, or when the next burst is written. It is
// zero if there is none.
func (w *Workload) Next(now time.Time) time.Time {
	if due, _ := w.Arrival(); due.After(now) {
		return due
	}
	return moment(&w.source.next)
}

func moment(nanoseconds *atomic.Int64) time.Time {
	if n := nanoseconds.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// produce writes the bursts until ctx ends or the last is written.
func (w *Workload) produce(ctx context.Context) {
	b := w.spec.Bursts
	next := time.Now().Add(b.First)
	for round := 0; b.Rounds == 0 || round < b.Rounds; round++ {
		w.source.next.Store(next.UnixNano())
		if !pause(ctx, time.Until(next)) || !w.burst(ctx) {
			return
		}
		next = next.Add(b.Every)
	}
	w.source.next.Store(0)
	w.source.over.Store(true)
}

// burst writes the messages of one burst, and reports whether it did so in full.
func (w *Workload) burst(ctx context.Context) bool {
	b := w.spec.Bursts
	switch {
	case b.Delay > 0:
		w.log.Add(w.spec.Name, fmt.Sprintf("%d messages are written, due in %s", b.Messages, b.Delay))
	case b.Spread > 0:
		w.log.Add(w.spec.Name, fmt.Sprintf("%d messages come within %s", b.Messages, b.Spread))
	default:
		w.log.Add(w.spec.Name, fmt.Sprintf("%d messages come at once", b.Messages))
	}
	if b.Spread == 0 {
		w.put(ctx, b.Messages)
		return true
	}
	for range b.Messages {
		w.put(ctx, 1)
		if !pause(ctx, b.Spread/time.Duration(b.Messages)) {
			return false
		}
	}
	return true
}

// put writes so many messages. What cannot be written is lost, as in an application
// without a retry.
func (w *Workload) put(ctx context.Context, count int) {
	sent := w.sent.Load()
	messages := make([]string, count)
	for i := range messages {
		messages[i] = fmt.Sprintf("%s-%d", w.spec.Name, sent+int64(i)+1)
	}
	due := time.Now().Add(w.spec.Bursts.Delay)
	// Before the write, because the scaler may report it before the write returns.
	w.source.arrival.Store(due.UnixNano())
	err := w.queue.put(ctx, messages, due)
	if err != nil && ctx.Err() != nil {
		return // it was interrupted, which says nothing about the queue
	}
	if w.note(err) {
		w.sent.Add(int64(count))
	}
}
