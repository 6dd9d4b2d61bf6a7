package server

import (
	"math/rand/v2"
	"sync"
	"time"
)

// lifetimes are the ends of streams. Streams that end at about the same time share a channel, so that
// 10,000 waiting ones need no timer each. It is safe for concurrent use.
type lifetimes struct {
	// length is that of a stream, give or take a tenth.
	length time.Duration

	mu sync.Mutex
	// ends are closed when their time has come.
	ends map[time.Time]chan struct{}
}

func newLifetimes(length time.Duration) *lifetimes {
	return &lifetimes{length: length, ends: make(map[time.Time]chan struct{})}
}

// draw returns the length of the life of a stream that begins. It has a jitter of a tenth, so that
// streams that were opened together do not end together.
func (l *lifetimes) draw() time.Duration {
	return time.Duration(float64(l.length) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // jitter is no secret
}

// begin returns what is closed at the end of a stream that begins now.
func (l *lifetimes) begin() <-chan struct{} {
	const parts = 100
	end := time.Now().Add(l.draw()).Truncate(max(l.length/parts, 1))
	l.mu.Lock()
	defer l.mu.Unlock()
	over := l.ends[end]
	if over == nil {
		over = make(chan struct{})
		l.ends[end] = over
		time.AfterFunc(time.Until(end), func() { l.close(end) })
	}
	return over
}

func (l *lifetimes) close(end time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.ends[end])
	delete(l.ends, end)
}
