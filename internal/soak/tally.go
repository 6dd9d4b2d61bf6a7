package soak

import (
	"fmt"
	"sync/atomic"
)

// A tally counts the work of a run, which shows how much it is worth that a run finds nothing.
type tally struct {
	writes, faults                      atomic.Int64
	answers, errors, calmAnswers, exact atomic.Int64
	messages                            atomic.Int64
}

func (t *tally) answer(calm bool, err error) {
	t.answers.Add(1)
	if err != nil {
		t.errors.Add(1)
	}
	if calm {
		t.calmAnswers.Add(1)
	}
}

func (t *tally) value(calm, exact bool) {
	if calm && exact {
		t.exact.Add(1)
	}
}

func (t *tally) message() { t.messages.Add(1) }

// littleCalm is the least percentage of answers during which nothing must be wrong for a run to prove much.
const littleCalm = 5

// saysLittle reports whether the machine was too busy for most bounds to bind.
func (t *tally) saysLittle() bool { return t.calmAnswers.Load()*100 < t.answers.Load()*littleCalm }

// String returns the counts as a line.
func (t *tally) String() string {
	return fmt.Sprintf("%d writes, %d faults; %d answers, %d of them errors and %d while nothing was wrong; %d values had to be exact; %d messages on streams",
		t.writes.Load(), t.faults.Load(), t.answers.Load(), t.errors.Load(), t.calmAnswers.Load(), t.exact.Load(), t.messages.Load())
}
