package rabbitmq

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A tapStep is what the server is to do for a tap.
type tapStep uint8

const (
	stepNone tapStep = iota
	stepDeclare
	stepBind
	stepUnbind
	stepDelete
)

// tapSleep is the longest time before the taps are checked again.
const tapSleep = 10 * time.Second

// serve connects, and does what the taps need until none is left, the connection ends or ctx does.
func (a *taps) serve(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	s, err := a.open()
	if err != nil {
		return err
	}
	defer s.close() //nolint:contextcheck // it has a bound of its own
	a.mu.Lock()
	a.up, a.end, a.reason = true, end, ""
	a.mu.Unlock()
	for {
		steps, woken, wait, some := a.next(time.Now())
		a.wakes.Wake(woken)
		if !some {
			return nil
		}
		for t, step := range steps {
			if err := a.do(ctx, s, t, step); err != nil {
				return err
			}
		}
		if len(steps) > 0 {
			continue
		}
		timer := time.NewTimer(wait)
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

// next returns what is to be done, who is to be woken, when to look again if there is nothing to do, and
// whether there are taps at all.
func (a *taps) next(now time.Time) (steps map[*tap]tapStep, woken []backlog.Query, wait time.Duration, some bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	steps, wait = make(map[*tap]tapStep), tapSleep
	for key, t := range a.all {
		a.sweep(t, now)
		if len(t.users) == 0 && !t.declared {
			delete(a.all, key)
			delete(a.byName, t.name)
			continue
		}
		step, due := t.next(now)
		if step != stepNone {
			steps[t] = step
		}
		if t.announces(now) {
			woken = append(woken, t.idle()...)
		}
		for _, at := range []time.Time{due, t.echo} {
			if !at.IsZero() {
				wait = min(wait, max(at.Sub(now), 0))
			}
		}
	}
	return steps, woken, wait, len(a.all) > 0
}

// sweep forgets the users of a tap that are not read any more. mu is held.
func (a *taps) sweep(t *tap, now time.Time) {
	for q, u := range t.users {
		if now.Sub(u.read) <= forgetTap {
			continue
		}
		delete(t.users, q)
		if a.users[q.Namespace]--; a.users[q.Namespace] == 0 {
			delete(a.users, q.Namespace)
		}
	}
}

// next returns what is to be done for a tap; with stepNone, due is when something may be, zero if only
// a read can change that.
func (t *tap) next(now time.Time) (step tapStep, due time.Time) {
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
		return stepNone, t.since.Add(tapSettle)
	default:
		return stepNone, t.verify
	}
}

// announces reports whether the users are to be woken at this moment: to be armed, or to look for a
// message that was delivered.
func (t *tap) announces(now time.Time) bool {
	if t.open && !t.announced && !now.Before(t.since.Add(tapSettle)) {
		t.announced = true
		return true
	}
	if t.echo.IsZero() || now.Before(t.echo) {
		return false
	}
	t.echo = time.Time{}
	return true
}

// do has the server do one step. What the server refuses concerns one tap. The error is that of the
// connection.
func (a *taps) do(ctx context.Context, s *tapSession, t *tap, step tapStep) error {
	switch step {
	case stepDeclare:
		return a.conclude(t, s.declare(t.name), func(time.Time) { t.declared = true })
	case stepBind:
		return a.bind(ctx, s, t)
	case stepUnbind:
		return a.conclude(t, s.unbind(t.name, t.key), func(time.Time) { t.bound = false })
	case stepDelete:
		return a.conclude(t, s.remove(t.name), func(time.Time) { t.reset() })
	case stepNone:
	}
	return nil
}

// bind binds a tap, or verifies its binding.
func (a *taps) bind(ctx context.Context, s *tapSession, t *tap) error {
	fault, err := a.exchanges.fault(ctx, t.key.exchange)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil //nolint:nilerr // the caller sees the end of ctx itself
	case err != nil:
		a.postpone(t)
		return nil
	case fault != "":
		a.fail(t, fault)
		return nil
	}
	err = s.bind(t.name, t.key)
	if refused, is := errors.AsType[*amqp.Error](err); is && refused.Code == amqp.NotFound {
		a.exchanges.forget() // its list has an exchange that is gone
	}
	return a.conclude(t, err, t.bind)
}

// postpone notes that the management API does not answer. A binding stays.
func (a *taps) postpone(t *tap) {
	a.mu.Lock()
	bound := t.bound
	t.verify = time.Now().Add(tapVerify)
	a.mu.Unlock()
	if !bound {
		a.fail(t, "the management API does not say what type the exchange has")
	}
}

// conclude notes the outcome of a step: done if it succeeded.
func (a *taps) conclude(t *tap, err error, done func(now time.Time)) error {
	refused, is := errors.AsType[*refusal](err)
	switch {
	case err == nil:
		a.mu.Lock()
		done(time.Now())
		a.mu.Unlock()
		return nil
	case is:
		a.fail(t, refused.text)
		return nil
	default:
		return err
	}
}

// fail notes why a tap cannot be bound, and wakes its users, which are polled from now on.
func (a *taps) fail(t *tap, why string) {
	a.mu.Lock()
	woken := t.fail(time.Now(), why)
	a.mu.Unlock()
	a.wakes.Wake(woken)
}
