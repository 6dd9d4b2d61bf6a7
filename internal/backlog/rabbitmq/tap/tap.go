package tap

import (
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// settleTime is how long after a tap was bound a read has to begin that arms a queue: the other nodes
	// of a cluster learn of a binding after the one that was asked.
	settleTime = 500 * time.Millisecond
	// verifyTime is how often a binding is made again, which shows an exchange that was deleted: the
	// server does not notify of that.
	verifyTime = 10 * time.Second
	// minRest and maxRest bound the time between a delivery and the next binding. It doubles where
	// deliveries follow within calmTime of it: workers take the messages before a read finds them.
	minRest, maxRest = time.Second, 30 * time.Second
	calmTime         = 10 * time.Second
	// minFaultRest and maxFaultRest bound the time before a tap is tried again that could not be bound.
	minFaultRest, maxFaultRest = time.Second, time.Minute
	// minCostlyRest and maxCostlyRest are the same after bodies that were too large.
	minCostlyRest, maxCostlyRest = time.Minute, time.Hour
	// lateTime is how much later than a read that finds messages their copies may come.
	lateTime = time.Second
	// minDistrust and maxDistrust bound for how long a queue is polled that got messages past the exchange.
	minDistrust, maxDistrust = time.Minute, time.Hour
	// commitTime is how long after its copy a message shows in a quorum queue, whose members have to store
	// it first: up to 4 ms on one node. A classic queue has it at once, unless the server is busy between
	// the two. echoTime is how often a message is looked for that does not show, and echoFor for how long.
	commitTime = 5 * time.Millisecond
	echoTime   = 20 * time.Millisecond
	echoFor    = 100 * time.Millisecond
)

// A tap is a queue of the scaler that gets a copy of each message for an exchange and its routing keys
// while it is bound. The mutex of Taps guards it.
type tap struct {
	key Key
	// name is that of the queue, and the tag of its consumer.
	name  string
	users map[backlog.Query]*user

	// declared reports that the queue has a consumer, and vetted that no policy applies to it.
	declared, vetted bool
	// bound reports that the server may have a binding, and open that it has had one since since, that
	// nothing was delivered, and that the tap may arm. announced reports that its users know.
	bound, open, announced bool
	since                  time.Time
	// verify is when the binding is made again.
	verify time.Time
	// heard is when a message was last delivered.
	heard time.Time
	// rest is until when the tap is not bound, and pause how long it was the last time.
	rest  time.Time
	pause time.Duration
	// fault is why the tap cannot be bound; empty if it can, or before that is known. faultRest is how
	// long it rested for that the last time.
	fault     string
	faultRest time.Duration
	// costly is how long the tap rested after bodies that were too large.
	costly time.Duration
	// echo is when its users are woken again; zero if they are not.
	echo time.Time
}

// A user is a query that a tap wakes.
type user struct {
	// read is when the query was read last, and idle whether it had no work then. prompt reports that its
	// queues need no time to store a message.
	read         time.Time
	idle, prompt bool
	// unused reports that no consumer could have returned a message since the last read.
	unused bool
	// busy is when the last read found work.
	busy time.Time
	// armed is since when reads promise a wake-up; zero if they do not.
	armed time.Time
	// suspect is when a read found messages that the tap has not announced since promised; zero if none
	// did.
	suspect, promised time.Time
	// distrust is until when the query is polled, and distrusted for how long that was the last time.
	distrust   time.Time
	distrusted time.Duration
}

// A Read is what a tap needs to know of a read that has succeeded, and of its reading.
type Read struct {
	// Began is when the read began, and At when the queue answered.
	Began, At time.Time
	// Idle reports that there is no work, and Waiting that there are ready messages.
	Idle, Waiting bool
	// Prompt reports that all queues are classic, and Unused that none has a consumer.
	Prompt, Unused bool
	// Returned is how long ago messages in flight may have been taken that are not known yet.
	Returned time.Duration
}

// wanted reports whether any user is idle.
func (t *tap) wanted() bool {
	for _, u := range t.users {
		if u.idle {
			return true
		}
	}
	return false
}

// idle returns the users that are idle.
func (t *tap) idle() (queries []backlog.Query) {
	for q, u := range t.users {
		if u.idle {
			queries = append(queries, q)
		}
	}
	return queries
}

// shut ends the promise of wake-ups.
func (t *tap) shut() {
	t.open = false
	for _, u := range t.users {
		u.armed = time.Time{}
	}
}

// bind notes that the server has bound the tap.
func (t *tap) bind(now time.Time) {
	t.verify = now.Add(verifyTime)
	t.fault, t.faultRest = "", 0
	if !t.bound {
		t.bound, t.open, t.announced, t.since = true, true, false, now
	}
}

// hear notes a delivery, and returns who is to be woken now. The others are by their echo.
func (t *tap) hear(now time.Time) (woken []backlog.Query) {
	t.heard = now
	if !t.open {
		return nil
	}
	t.pause = longer(t.pause, minRest, maxRest)
	if now.Sub(t.since) > calmTime {
		t.pause = minRest
	}
	t.rest = now.Add(t.pause)
	for q, u := range t.users {
		if !u.armed.IsZero() {
			u.distrusted /= 2
		}
		switch {
		case !u.idle:
		case u.prompt:
			woken = append(woken, q)
		default:
			t.echo = now.Add(commitTime)
		}
	}
	t.shut()
	return woken
}

// longer returns a time that doubles, within bounds.
func longer(last, low, high time.Duration) time.Duration { return min(max(low, 2*last), high) }

// fail notes why the tap cannot be bound. It rests, longer each time. It returns who is to be woken,
// because wake-ups were promised.
func (t *tap) fail(now time.Time, why string) (woken []backlog.Query) {
	t.faultRest = longer(t.faultRest, minFaultRest, maxFaultRest)
	return t.giveUp(now.Add(t.faultRest), why)
}

// doubt notes that it is not known whether the exchange may be tapped, because the management API does not
// answer. A binding stays.
func (t *tap) doubt(err error) {
	if err != nil && !t.bound {
		t.fault = "the management API does not say what type the exchange has"
	}
}

// overload notes that bodies were too large.
func (t *tap) overload(now time.Time, why string) (woken []backlog.Query) {
	t.costly = longer(t.costly, minCostlyRest, maxCostlyRest)
	return t.giveUp(now.Add(t.costly), why)
}

func (t *tap) giveUp(until time.Time, why string) (woken []backlog.Query) {
	t.fault, t.rest = why, until
	if t.open || !t.echo.IsZero() {
		woken = t.idle()
	}
	t.echo = time.Time{}
	t.shut()
	return woken
}

// reset notes that the queue of the tap is gone, and returns who is to be woken.
func (t *tap) reset() (woken []backlog.Query) {
	t.declared, t.vetted, t.bound = false, false, false
	return t.giveUp(t.rest, t.fault)
}

// observe takes a reading over, and reports whether each change after it causes a wake-up.
func (t *tap) observe(u *user, r Read) (armed bool) {
	u.read, u.idle, u.prompt = r.At, r.Idle, r.Prompt
	if !r.Idle && !u.armed.IsZero() {
		if r.Waiting && t.heard.Before(u.armed) && !u.returned(t, r) {
			u.suspect, u.promised = r.At, u.armed
		}
		u.armed = time.Time{}
	}
	u.resolve(t, r.At)
	if !r.Idle {
		u.busy = r.At
		return false
	}
	u.unused = r.Unused
	if !t.open && r.At.Sub(t.heard) < echoFor && t.echo.IsZero() {
		t.echo = r.At.Add(echoTime)
	}
	if !t.open || !u.suspect.IsZero() || r.At.Before(u.distrust) || r.Began.Before(t.since.Add(settleTime)) {
		return false
	}
	if u.armed.IsZero() {
		u.armed = r.Began
	}
	return true
}

// returned reports whether the messages that are ready may be those that a consumer has returned.
func (u *user) returned(t *tap, r Read) bool {
	last := u.busy
	if t.heard.After(last) {
		last = t.heard
	}
	return !u.unused && r.At.Sub(last) <= r.Returned
}

// resolve decides on messages that the tap had not announced when they were found.
func (u *user) resolve(t *tap, now time.Time) {
	switch {
	case u.suspect.IsZero():
		return
	case !t.heard.Before(u.promised):
	case now.Sub(u.suspect) < lateTime:
		return
	default:
		u.distrusted = longer(u.distrusted, minDistrust, maxDistrust)
		u.distrust = now.Add(u.distrusted)
	}
	u.suspect = time.Time{}
}

// warning returns why a query is polled; empty if it is not, or if that is about to end.
func (t *tap) warning(u *user) string {
	switch {
	case t.fault != "":
		return PolledBecause(t.fault)
	case u.read.Before(u.distrust):
		return PolledBecause(fmt.Sprintf("messages arrive that the exchange %q does not route by these routing keys, or consumers return them", backlog.Line(t.key.exchange)))
	default:
		return ""
	}
}

// PolledBecause returns the warning of a query that wants a tap and has none.
func PolledBecause(why string) string { return "the queue is polled and not tapped: " + why }
