package network

import (
	"context"
	"fmt"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Session is a connection with what was agreed on it.
type Session interface {
	// Alive reports whether it has not ended.
	Alive() bool
	// Close ends it and waits for its goroutines. gracefully asks the server first.
	Close(gracefully bool)
}

// A Connector has one session at a time, and opens it when it is needed. Several goroutines may use it.
type Connector[S Session] struct {
	// Addresses are tried one after the other, beginning with the one that answered last.
	Addresses []string
	// Open opens a session to an address. opened is how many there were before. It returns when the
	// source ends, and its error is one of backlog's.
	Open func(address string, opened int) (S, error)
	// Tasks are the goroutines of the source.
	Tasks *sync.WaitGroup

	// mu guards what follows.
	mu      sync.Mutex
	current S
	has     bool
	// attempt is the one that is under way; nil if none is.
	attempt *attempt[S]
	// next is the place of the address to try first, and opened the number of sessions so far.
	next, opened int
	closed       bool
}

// An attempt is to open a session. What it yields is valid once done is closed.
type attempt[S Session] struct {
	done    chan struct{}
	session S
	err     error
}

// Session returns the session, and opens one if there is none. The error wraps one of backlog's errors.
func (c *Connector[S]) Session(ctx context.Context) (session S, err error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return session, fmt.Errorf("%w: the source is closed", backlog.ErrUnavailable)
	}
	if c.has && c.current.Alive() {
		defer c.mu.Unlock()
		return c.current, nil
	}
	a := c.attempt
	if a == nil {
		a = &attempt[S]{done: make(chan struct{})}
		c.attempt = a
		c.Tasks.Go(func() { c.try(a) }) // a session outlives the call that opens it
	}
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.session, a.err
	case <-ctx.Done():
		return session, fmt.Errorf("%w: connecting takes longer: %w", backlog.ErrUnavailable, ctx.Err())
	}
}

// Last returns the last session, which may have ended; false if there was none.
func (c *Connector[S]) Last() (session S, has bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.has
}

// Address returns the address that answered last.
func (c *Connector[S]) Address() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Addresses[c.next]
}

// try opens a session to the first address that answers.
func (c *Connector[S]) try(a *attempt[S]) {
	c.mu.Lock()
	first, opened, old, has := c.next, c.opened, c.current, c.has
	c.mu.Unlock()
	if has {
		old.Close(false)
	}
	for i := range c.Addresses {
		at := (first + i) % len(c.Addresses)
		a.session, a.err = c.open(c.Addresses[at], opened)
		if a.err == nil {
			c.mu.Lock()
			c.next, c.current, c.has = at, a.session, true
			c.opened++
			c.mu.Unlock()
			break
		}
	}
	c.mu.Lock()
	c.attempt = nil
	c.mu.Unlock()
	close(a.done)
}

// open is Open, whose panic is an error.
func (c *Connector[S]) open(address string, opened int) (session S, err error) {
	defer backlog.Contain(&err)
	return c.Open(address, opened)
}

// Close ends the session. An attempt that is under way ends with the source, which has to end before.
func (c *Connector[S]) Close() {
	c.mu.Lock()
	c.closed = true
	a, session, has := c.attempt, c.current, c.has
	c.mu.Unlock()
	if a != nil {
		<-a.done
		session, has = a.session, a.err == nil
	}
	if has {
		session.Close(true)
	}
}
