package postgresql

import (
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

const (
	// maxChannel is the longest name of a channel, in bytes: the server cuts a longer one in LISTEN, and
	// refuses it in NOTIFY.
	maxChannel = 63
	// forgetAfter is for how long a channel is listened to after it was last needed. An idle queue is
	// read at least once a minute.
	forgetAfter = 10 * time.Minute
	// sweepInterval is the least time between two searches for channels that are not needed.
	sweepInterval = time.Minute
	// distrustFor is for how long a queue is polled after work came to it without a notification.
	distrustFor = 10 * time.Minute
	// notifyMargin is added to the pause that a framework may make between notifications, for the way
	// of the last one.
	notifyMargin = 250 * time.Millisecond
)

// A registry knows which queues a notification concerns, and which are armed.
type registry struct {
	wake func([]backlog.Query)

	// mu guards all below. The goroutine that reads arms, and the one that listens notifies.
	mu       sync.Mutex
	channels map[string]*channel
	// life counts the times that the listener was lost. What was armed in another one is not.
	life int
	// verified reports that notifications arrive in this life.
	verified bool
	swept    time.Time
}

// A channel is a channel that is listened to.
type channel struct {
	// listening reports that LISTEN has succeeded in this life.
	listening bool
	// heard is when a notification came last, in any life; zero if none did.
	heard time.Time
	// used is when it was last needed.
	used time.Time
	// queueOf reads a payload; nil if each concerns all queues of the channel.
	queueOf func(string) (string, bool)
	// queues are those that were read, by their names.
	queues map[string]*queueState
}

// A queueState is what is known of one queue of a channel.
type queueState struct {
	// notified counts the notifications, and heard is when the last one came.
	notified int
	heard    time.Time
	// armed are the queries that wait for the next one.
	armed map[backlog.Query]struct{}
	// ready is the work that was found last, and next when more was to fall due. surprised is when
	// work came without a notification.
	ready     int64
	next      time.Time
	surprised time.Time
	used      time.Time
}

// A ticket is the state of a queue before it was read.
type ticket struct {
	channel   string
	queue     *queueState
	notified  int
	life      int
	listening bool
}

func newRegistry(wake func([]backlog.Query)) *registry {
	return &registry{wake: wake, channels: make(map[string]*channel)}
}

// begin is called before a queue is read. It reports whether its channel is new.
func (r *registry) begin(n sqlqueue.Notices, p backlog.Params, queue string, now time.Time) (t ticket, isNew bool) {
	name := n.Channel(p, queue)
	if len(name) > maxChannel {
		return ticket{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.channels[name]
	if isNew = c == nil; isNew {
		c = &channel{queueOf: n.Queue, queues: make(map[string]*queueState)}
		r.channels[name] = c
	}
	q := c.queues[queue]
	if q == nil {
		q = &queueState{armed: make(map[backlog.Query]struct{})}
		c.queues[queue] = q
	}
	c.used, q.used = now, now
	return ticket{channel: name, queue: q, notified: q.notified, life: r.life, listening: c.listening && r.verified}, isNew
}

// arm is called after a queue was read. It reports whether the next change wakes the query, and
// whether there was one during the read.
func (r *registry) arm(t ticket, q backlog.Query, n sqlqueue.Notices, row sqlqueue.Row, now time.Time) (armed, changed bool) {
	if t.queue == nil {
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	state := t.queue
	if t.listening && t.life == r.life && t.notified != state.notified {
		return false, true
	}
	_, waited := state.armed[q]
	found := row.Reading.Ready + row.Reading.Due
	if waited && n.ByClient && found > state.ready && (state.next.IsZero() || state.next.After(now)) {
		state.surprised = now
	}
	state.ready, state.next = found, row.Reading.NextDue
	delete(state.armed, q)
	if !t.listening || t.life != r.life || row.Reading.Paused || !r.trusted(t, n, row, now) {
		return false, false
	}
	state.armed[q] = struct{}{}
	return true, false
}

// trusted reports whether a notification will come for each change. mu is held.
func (r *registry) trusted(t ticket, n sqlqueue.Notices, row sqlqueue.Row, now time.Time) bool {
	if row.NotifiesKnown && !row.Notifies {
		return false
	}
	if n.ByClient && (r.channels[t.channel] == nil || r.channels[t.channel].heard.IsZero() || now.Sub(t.queue.surprised) < distrustFor) {
		return false
	}
	quiet := max(n.Quiet, row.Quiet)
	return quiet == 0 || now.Sub(t.queue.heard) > quiet+notifyMargin
}

// notify is called with each notification.
func (r *registry) notify(name, payload string, now time.Time) {
	var woken []backlog.Query
	r.mu.Lock()
	if c := r.channels[name]; c != nil {
		c.heard = now
		known := false
		if c.queueOf != nil {
			var queue string
			if queue, known = c.queueOf(payload); known && c.queues[queue] != nil {
				woken = c.queues[queue].notify(nil, now)
			}
		}
		if !known {
			for _, q := range c.queues {
				woken = q.notify(woken, now)
			}
		}
	}
	r.mu.Unlock()
	r.wake(woken)
}

// notify disarms the queue, and appends the queries that were armed. The registry's mu is held.
func (q *queueState) notify(woken []backlog.Query, now time.Time) []backlog.Query {
	q.notified++
	q.heard = now
	for query := range q.armed {
		woken = append(woken, query)
	}
	clear(q.armed)
	return woken
}

// lose notes that the listener is lost, and reports whether it was trusted.
func (r *registry) lose() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.verified
	r.life++
	r.verified = false
	for _, c := range r.channels {
		c.listening = false
		for _, q := range c.queues {
			clear(q.armed)
		}
	}
	return was
}

// verify notes that notifications arrive.
func (r *registry) verify() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verified = true
}

// state returns whether notifications arrive, and the life.
func (r *registry) state() (verified bool, life int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.verified, r.life
}

// wanted reports whether there is anything to listen to.
func (r *registry) wanted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.channels) > 0
}

// pending returns channels that are to be listened to, at most so many.
func (r *registry) pending(most int) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, c := range r.channels {
		if !c.listening && len(names) < most {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// listening notes that channels are listened to, in a life.
func (r *registry) listening(names []string, life int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if c := r.channels[name]; c != nil && r.life == life {
			c.listening = true
		}
	}
}

// sweep forgets what was not needed for long, and returns the channels that are not needed any more.
func (r *registry) sweep(now time.Time) (gone []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.swept) < sweepInterval {
		return nil
	}
	r.swept = now
	for name, c := range r.channels {
		for queue, q := range c.queues {
			if now.Sub(q.used) > forgetAfter {
				delete(c.queues, queue)
			}
		}
		if now.Sub(c.used) > forgetAfter {
			delete(r.channels, name)
			gone = append(gone, name)
		}
	}
	return gone
}
