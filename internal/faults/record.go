package faults

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Answers is how calls are answered while a fault lasts.
type Answers string

// The ways to answer.
const (
	// Right is what the queue holds, messages that arrive meanwhile included.
	Right Answers = "right"
	// Held is the last value that was read.
	Held Answers = "held"
	// HeldThenError is that value for maxStaleness, and an error from then on.
	HeldThenError Answers = "held, then error"
	// Error is an error from the first call on.
	Error Answers = "error"
)

// String returns the outcome as a cell of the table.
func (o Outcome) String() string {
	return fmt.Sprintf("%s; %.1f s", o.Answers, o.Recovery.Seconds())
}

// An answer is how the scaler answered GetMetrics and then IsActive.
type answer struct {
	began  time.Time
	value  float64
	err    error
	active bool
	// activeErr is the error of IsActive.
	activeErr error
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%g, active %t", a.value, a.active)
}

// A record has all answers. The calls add to it, and the test reads it.
type record struct {
	mu  sync.Mutex
	all []answer
}

func (r *record) add(a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, a)
}

// between returns the answers whose calls began in an interval.
func (r *record) between(since, until time.Time) []answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	var chosen []answer
	for _, a := range r.all {
		if !a.began.Before(since) && !a.began.After(until) {
			chosen = append(chosen, a)
		}
	}
	return chosen
}

// first returns when the first call since a moment began that was answered with a value, and with the
// activity that follows from it.
func (r *record) first(since time.Time, want int) (began time.Time, found bool) {
	for _, a := range r.between(since, time.Now()) {
		if a.err == nil && a.activeErr == nil && a.value == float64(want) && a.active == (want > 0) {
			return a.began, true
		}
	}
	return time.Time{}, false
}

// last returns the last answer.
func (r *record) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return "no answer"
	}
	return r.all[len(r.all)-1].String()
}

// isAllowed reports whether KEDA may get an error: Unavailable, and FailedPrecondition where a server answers
// what makes no sense.
func isAllowed(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.FailedPrecondition
}

// check holds the answers of an interval against the promise: a value is one that the queue has held, an
// error is one of those that are documented, and work is active.
func (r *record) check(t testing.TB, fault Fault, since, until time.Time, before, after int) {
	t.Helper()
	least, most := float64(min(before, after)), float64(max(before, after))
	for _, a := range r.between(since, until) {
		for _, err := range []error{a.err, a.activeErr} {
			if err != nil && !isAllowed(err) {
				t.Errorf("%s: %v, want Unavailable or FailedPrecondition", fault, err)
			}
		}
		if a.err == nil && (a.value < least || a.value > most) {
			t.Errorf("%s: %g is answered %s after the beginning, and the queue holds %g to %g", fault, a.value, a.began.Sub(since), least, most)
		}
		if a.activeErr == nil && !a.active && least > 0 {
			t.Errorf("%s: the queue is reported as idle and holds %g", fault, least)
		}
	}
}

// answers returns how the calls of an interval were answered, in which there must be some. before is what the
// queue held at its beginning.
func (r *record) answers(t testing.TB, since, until time.Time, before int) Answers {
	t.Helper()
	all := r.between(since, until)
	if len(all) == 0 {
		t.Errorf("no call was answered within %s", until.Sub(since))
	}
	var values, errs, later int
	for _, a := range all {
		switch {
		case a.err != nil:
			errs++
		case a.value > float64(before):
			later++
		default:
			values++
		}
	}
	switch {
	case errs == 0 && later > 0:
		return Right
	case errs == 0:
		return Held
	case values == 0:
		return Error
	default:
		return HeldThenError
	}
}
