// Package reads ends the calls of a source together with it. Engines share it.
package reads

import (
	"context"
	"fmt"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// ErrClosed is a call after Close.
var ErrClosed = fmt.Errorf("%w: the source is closed", backlog.ErrUnavailable)

// A Gate admits the calls of a source until it is closed. Several goroutines may use it.
type Gate struct {
	// life ends with Close.
	life context.Context //nolint:containedctx // the calls of the source end with it
	end  context.CancelFunc

	// mu guards closed, and orders the first of the calls before the end of the last.
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

// NewGate returns a gate that is open, and the context of what lives until Close. It carries what ctx
// carries, which may end before.
func NewGate(ctx context.Context) (g *Gate, life context.Context) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	return &Gate{life: life, end: end}, life
}

// Enter admits a call. The context that it returns also ends with Close. The caller calls leave when the
// call has ended. The error is ErrClosed.
func (g *Gate) Enter(ctx context.Context) (bounded context.Context, leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, nil, ErrClosed
	}
	g.calls.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(g.life, cancel)
	return ctx, func() {
		stop()
		cancel()
		g.calls.Done()
	}, nil
}

// Close admits no more calls, ends those that are under way and waits for them. It is idempotent.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.end()
	g.calls.Wait()
}
