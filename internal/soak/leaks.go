package soak

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A level is what a scaler takes at rest.
type level struct {
	goroutines  int
	connections int
	heap        uint64
}

func (l level) String() string {
	return fmt.Sprintf("%d goroutines, %d connections, %.1f MiB live", l.goroutines, l.connections, float64(l.heap)/(1<<20))
}

// What a level may be above the one at the start. The heap has what the scaler remembers
// of a longer past, and what the soak itself does.
const (
	moreGoroutines = 8
	moreHeap       = 24 << 20
)

func (l level) within(start level) bool {
	return l.goroutines <= start.goroutines+moreGoroutines && l.connections <= start.connections && l.heap <= start.heap+moreHeap
}

// measure returns the present level; false if not all servers can be asked.
func (r *run) measure(ctx context.Context) (level, bool) {
	now := level{goroutines: scalerGoroutines()}
	for _, broker := range r.brokers {
		n, ok := broker.broker.Connections(ctx)
		if !ok {
			return level{}, false
		}
		now.connections += max(n, broker.topology.Connections)
	}
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	now.heap = stats.HeapAlloc
	return now, true
}

// settled measures until the level is the same twice, so that all connections are made.
func (r *run) settled(ctx context.Context) level {
	var before level
	for range 60 {
		now, ok := r.measure(ctx)
		if ok && now.connections == before.connections && now.goroutines == before.goroutines {
			return now
		}
		before = now
		select {
		case <-ctx.Done():
			return now
		case <-time.After(500 * time.Millisecond):
		}
	}
	return before
}

// checkLeaks waits until the level is that of the start again.
func (r *run) checkLeaks(ctx context.Context, start level) {
	var now level
	for deadline := time.Now().Add(time.Minute); ctx.Err() == nil && time.Now().Before(deadline); {
		ok := false
		if now, ok = r.measure(ctx); ok && now.within(start) {
			r.print(fmt.Sprintf("level: at the start %s; at the end %s\n", start, now))
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	if ctx.Err() != nil {
		return
	}
	r.violateAll(Leak, "scaler", fmt.Sprintf("at the start %s; a minute after the end %s", start, now))
}

// scalerPackages are parts of stacks of goroutines that the scaler started.
func scalerPackages() []string {
	return []string{
		"/internal/app.", "/internal/sampler.", "/internal/server.", "/internal/backlog/redis.", "/internal/backlog/kafka.",
		"/internal/backlog/kafka/tail.", "/internal/backlog/rabbitmq.", "/internal/backlog/rabbitmq/lag.",
		"/internal/backlog/rabbitmq/management.", "/internal/backlog/rabbitmq/tap.", "/internal/backlog/postgresql.",
		"/internal/backlog/mysql.",
	}
}

// scalerGoroutines is how many goroutines run code of the scaler.
func scalerGoroutines() int {
	stacks := make([]byte, 1<<20)
	for {
		n := runtime.Stack(stacks, true)
		if n < len(stacks) {
			stacks = stacks[:n]
			break
		}
		stacks = make([]byte, 2*len(stacks))
	}
	n := 0
	for goroutine := range strings.SplitSeq(string(stacks), "\n\n") {
		if slices.ContainsFunc(scalerPackages(), func(name string) bool { return strings.Contains(goroutine, name) }) {
			n++
		}
	}
	return n
}
