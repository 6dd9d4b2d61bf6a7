// Package tap notices messages on their way into queues of RabbitMQ that are idle, by a queue of its own that
// is bound as they are.
package tap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

const (
	// prefix begins the names of the queues of taps: the user has rights to these alone.
	prefix = "backlog-scaler.tap."
	// maxTaps and maxUsers bound the taps of a connection, and the queries of one namespace that have
	// one. A tap is a process of the server.
	maxTaps, maxUsers = 2000, 1000
	// byteRate is how many bytes of bodies the taps of a connection receive in a second.
	byteRate = 8 << 20
	// forgetAfter is for how long a query is woken after it was read last. One that is armed is read every
	// ten seconds.
	forgetAfter = 3 * time.Minute
)

// The Taps of a connection notice messages on their way into queues that are idle. They share a
// connection of their own, so that bodies delay no read. One goroutine talks to the server.
//
// An exchange hands a message to every queue that is bound to it, so to a tap as well, whose consumer
// gets it at once; nothing is stored, because the queue of a tap holds no message. The steps:
//
//  1. A read finds a queue idle. Its tap is declared with a consumer, once.
//  2. A listing shows that no policy applies to the queue of the tap.
//  3. The tap is bound, if the exchange is of a type that takes no message from others for it.
//  4. A read that begins settleTime later finds the queue still idle. It is armed.
//  5. The first delivery wakes all users, and the tap is unbound.
//  6. After a rest it begins again with the next read that finds the queue idle.
//
// A tap proves nothing where messages take another way. What a read finds that no tap has announced ends
// the trust in it for a time.
type Taps struct {
	cfg *dialer.Config
	// address returns that of the server whose queues are read.
	address    func() string
	management *management.API
	wakes      *wakes.Queue
	// kick asks to look at the taps again.
	kick chan struct{}

	// mu guards what follows. The goroutine that reads, the one of the taps and that of their connection
	// use it.
	mu     sync.Mutex
	all    map[Key]*tap
	byName map[string]*tap
	// exchanges are what is known of those that are tapped.
	exchanges exchanges
	// users counts the queries of each namespace.
	users map[string]int
	// up reports that there is a connection, and reason why there is none; empty before that is known.
	up     bool
	reason string
	// end ends the connection; nil if there is none.
	end context.CancelFunc
	// spent is how many bytes were received since second.
	spent  uint64
	second time.Time
}

// New returns taps without a connection. address returns that of the server whose queues are read, m lists the
// exchanges, and w takes over who is to be woken. Run keeps the taps.
func New(cfg *dialer.Config, address func() string, m *management.API, w *wakes.Queue) *Taps {
	return &Taps{
		cfg: cfg, address: address, management: m, wakes: w, kick: make(chan struct{}, 1),
		all: make(map[Key]*tap), byName: make(map[string]*tap), users: make(map[string]int),
	}
}

// look asks the goroutine of the taps to look at them.
func (a *Taps) look() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// Observe takes the reading of a query over that wants a tap. It reports whether each change after it
// causes a wake-up, and why not if that is worth knowing.
func (a *Taps) Observe(key Key, q backlog.Query, r Read, l *management.Listing) (armed bool, warning string) {
	var woken []backlog.Query
	defer func() { a.wakes.Wake(woken) }() // without mu
	a.mu.Lock()
	defer a.mu.Unlock()
	t, u := a.user(key, q)
	if t == nil {
		return false, PolledBecause(fmt.Sprintf("the taps of the connection, or the tapped triggers of the namespace, are at their limit of %d and %d", maxTaps, maxUsers))
	}
	woken = a.vet(t, l)
	armed = t.observe(u, r)
	if t.bound != t.wanted() || !t.echo.IsZero() || !t.declared {
		a.look()
	}
	if warning = t.warning(u); warning == "" && a.reason != "" {
		warning = PolledBecause(a.reason)
	}
	return armed, warning
}

// user returns a query and its tap; nil if there are too many. mu is held.
func (a *Taps) user(key Key, q backlog.Query) (*tap, *user) {
	t := a.all[key]
	if t != nil && t.users[q] != nil {
		return t, t.users[q]
	}
	if t == nil && len(a.all) >= maxTaps || a.users[q.Namespace] >= maxUsers {
		return nil, nil
	}
	if t == nil {
		t = &tap{key: key, name: prefix + strings.ToLower(rand.Text()), users: make(map[backlog.Query]*user)}
		a.all[key], a.byName[t.name] = t, t
	}
	u := &user{}
	t.users[q] = u
	a.users[q.Namespace]++
	return t, u
}

// vet takes over what a listing has about the queue of a tap. A policy may send on what the queue does
// not hold, or make it refuse messages, which the publisher would notice. It returns who is to be
// woken. mu is held.
func (a *Taps) vet(t *tap, l *management.Listing) (woken []backlog.Query) {
	if l == nil || !t.declared {
		return nil
	}
	one, known := l.Queues[t.name]
	switch {
	case !known:
	case one.Policy != "":
		why := fmt.Sprintf("the policy %q applies to queues whose names begin with %q, want none", backlog.Line(one.Policy), prefix)
		if t.vetted || t.fault != why {
			t.vetted = false
			return t.fail(time.Now(), why)
		}
	case !t.vetted:
		t.vetted = true
		a.look()
	}
	return nil
}

// delivered is called with each delivery, by the goroutine of the connection.
func (a *Taps) delivered(name string, bytes uint64) {
	now := time.Now()
	var woken []backlog.Query
	a.mu.Lock()
	if now.Sub(a.second) >= time.Second {
		a.second, a.spent = now, 0
	}
	a.spent += min(bytes, 2*byteRate) // cannot overflow within a second
	if t := a.byName[name]; t != nil {
		woken = t.hear(now)
		switch {
		case a.spent <= byteRate:
			t.costly /= 2
		case t.rest.Sub(now) <= maxRest:
			woken = append(woken, t.overload(now, fmt.Sprintf("the messages of the exchange %q are larger than taps may receive, %d MiB in a second", backlog.Line(t.key.exchange), byteRate>>20))...)
		}
	}
	a.mu.Unlock()
	a.wakes.Wake(woken)
	a.look()
}

// cancelled is called when the server has ended a consumer, as after its queue was deleted.
func (a *Taps) cancelled(name string) {
	a.mu.Lock()
	t := a.byName[name]
	var woken []backlog.Query
	if t != nil {
		woken = t.reset()
		t.fail(time.Now(), "the queue of the tap was deleted")
	}
	a.mu.Unlock()
	a.wakes.Wake(woken)
	a.look()
}

// Run keeps the taps until ctx ends.
func (a *Taps) Run(ctx context.Context) {
	network.Keep(ctx, network.Kept{Wanted: a.needed, Kick: a.kick, Serve: a.serve, Ended: a.down})
}

// needed reports whether any tap is wanted.
func (a *Taps) needed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.all {
		if t.wanted() {
			return true
		}
	}
	return false
}

// down notes that the connection has ended. What was armed is read again.
func (a *Taps) down(err error) {
	var woken []backlog.Query
	a.mu.Lock()
	a.up, a.end, a.reason = false, nil, ""
	if err != nil {
		a.reason = "the connection of the taps is lost"
		if errors.Is(err, backlog.ErrDenied) {
			a.reason = noRight
		}
	}
	for _, t := range a.all {
		woken = append(woken, t.reset()...)
	}
	a.mu.Unlock()
	a.wakes.Wake(woken)
}

// noRight is a user without the rights that taps need.
const noRight = `the user of the connection needs the right to read the exchange, and to configure, write and read "^backlog-scaler\."`

// Restart ends the connection: the one that reads queues was opened again, maybe to another server.
func (a *Taps) Restart() {
	a.mu.Lock()
	end := a.end
	a.mu.Unlock()
	if end != nil {
		end()
	}
}

// Status returns whether there is a connection, and why not.
func (a *Taps) Status() (up bool, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.up, a.reason
}
