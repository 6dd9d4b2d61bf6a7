package tap

import (
	"context"
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A step is what the server is to do for a tap.
type step uint8

const (
	stepNone step = iota
	stepDeclare
	stepBind
	stepUnbind
	stepDelete
)

// maxSteps is how many steps, except those that unbind, are taken before the taps are checked again.
const maxSteps = 16

// sleepTime is the longest time before the taps are checked again.
const sleepTime = 10 * time.Second

// serve connects, and does what the taps need until none is left, the connection ends or ctx does.
func (a *Taps) serve(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		end()
		s.close()
	}()
	a.mu.Lock()
	a.up, a.end, a.reason = true, end, ""
	a.mu.Unlock()
	for {
		work := a.next(time.Now())
		a.wakes.Wake(work.woken)
		if !work.some {
			return nil
		}
		if work.list {
			s.tasks.Go(func() { a.list(ctx) })
		}
		for t, step := range work.steps {
			if err := a.do(s, t, step); err != nil {
				return err
			}
		}
		if len(work.steps) > 0 {
			continue
		}
		timer := time.NewTimer(work.wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.ended:
			timer.Stop()
			return s.end()
		case <-a.kick:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// An agenda is what is to be done at a time.
type agenda struct {
	steps map[*tap]step
	// woken are the queries that are to be woken.
	woken []backlog.Query
	// list reports that the exchanges are to be listed.
	list bool
	// wait is when to look again if there are no steps; some reports that there are taps.
	wait time.Duration
	some bool
}

// until shortens the wait.
func (w *agenda) until(at, now time.Time) {
	if !at.IsZero() {
		w.wait = min(w.wait, max(at.Sub(now), 0))
	}
}

// next returns what is to be done.
func (a *Taps) next(now time.Time) agenda {
	a.mu.Lock()
	defer a.mu.Unlock()
	work, stale := agenda{steps: make(map[*tap]step), wait: sleepTime}, false
	for key, t := range a.all {
		a.sweep(t, now)
		if len(t.users) == 0 && !t.declared {
			delete(a.all, key)
			delete(a.byName, t.name)
			continue
		}
		step, due := t.next(now)
		if step == stepBind {
			fault, known := a.exchanges.fault(t.key.exchange, now)
			switch {
			case fault != "":
				work.woken = append(work.woken, t.fail(now, fault)...)
				step, due = stepNone, now // it may have to be unbound
			case !known:
				step, stale = stepNone, true
				t.doubt(a.exchanges.err)
			}
		}
		// Messages are copied until a tap is unbound.
		if step == stepUnbind || step != stepNone && len(work.steps) < maxSteps {
			work.steps[t] = step
		}
		if t.announces(now) {
			work.woken = append(work.woken, t.idle()...)
		}
		work.until(due, now)
		work.until(t.echo, now)
	}
	if stale {
		begins, due := a.exchanges.begin(now)
		if work.list = begins; !begins && !a.exchanges.running {
			work.until(due, now)
		}
	}
	work.some = len(a.all) > 0
	return work
}

// sweep forgets the users of a tap that are not read any more. mu is held.
func (a *Taps) sweep(t *tap, now time.Time) {
	for q, u := range t.users {
		if now.Sub(u.read) <= forgetAfter {
			continue
		}
		delete(t.users, q)
		a.users[q.Namespace]--
		if a.users[q.Namespace] == 0 {
			delete(a.users, q.Namespace)
		}
	}
}

// next returns what is to be done for a tap; with stepNone, due is when something may be, zero if only
// a read can change that.
func (t *tap) next(now time.Time) (todo step, due time.Time) {
	wanted := t.wanted()
	switch {
	case len(t.users) == 0:
		return stepDelete, time.Time{}
	case t.bound && (!t.open || !wanted):
		t.shut()
		return stepUnbind, time.Time{}
	case !wanted:
		return stepNone, time.Time{}
	case t.rest.After(now):
		return stepNone, t.rest
	case !t.declared:
		return stepDeclare, time.Time{}
	case !t.bound && !t.vetted:
		return stepNone, time.Time{}
	case !t.bound || !t.verify.After(now):
		return stepBind, time.Time{}
	case !t.announced:
		return stepNone, t.since.Add(settleTime)
	default:
		return stepNone, t.verify
	}
}

// announces reports whether the users are to be woken at this moment: to be armed, or to look for a
// message that was delivered.
func (t *tap) announces(now time.Time) bool {
	if t.open && !t.announced && !now.Before(t.since.Add(settleTime)) {
		t.announced = true
		return true
	}
	if t.echo.IsZero() || now.Before(t.echo) {
		return false
	}
	t.echo = time.Time{}
	return true
}

// list lists the exchanges.
func (a *Taps) list(ctx context.Context) {
	found, err := a.management.Exchanges(ctx)
	a.mu.Lock()
	a.exchanges.end(found, err)
	a.mu.Unlock()
	a.look()
}

// do has the server do one step. What the server refuses concerns one tap. The error is that of the
// connection.
func (a *Taps) do(s *session, t *tap, todo step) error {
	switch todo {
	case stepDeclare:
		return a.conclude(t, s.declare(t.name), func(time.Time) { t.declared = true })
	case stepBind:
		return a.conclude(t, s.bind(t.name, t.key), t.bind)
	case stepUnbind:
		return a.conclude(t, s.unbind(t.name, t.key), func(time.Time) { t.bound = false })
	case stepDelete:
		return a.conclude(t, s.remove(t.name), func(time.Time) { t.reset() })
	case stepNone:
	}
	return nil
}

// conclude notes the outcome of a step: done if it succeeded. What the server refuses wakes the users,
// which are polled from now on.
func (a *Taps) conclude(t *tap, err error, done func(now time.Time)) error {
	refused, is := errors.AsType[*refusal](err)
	if err != nil && !is {
		return err
	}
	var woken []backlog.Query
	a.mu.Lock()
	if is {
		woken = t.fail(time.Now(), refused.text)
		a.exchanges.forget() // one may be gone that the list has
	} else {
		done(time.Now())
	}
	a.mu.Unlock()
	a.wakes.Wake(woken)
	return nil
}
