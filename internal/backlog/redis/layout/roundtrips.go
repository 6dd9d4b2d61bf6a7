package layout

import (
	"errors"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// errUnanswered is the error of a decoder whose question has not been sent yet.
var errUnanswered = errors.New("this was not sent to the server yet")

// RoundTrips are those of one reading: what a [Reader] has asked, and the replies.
//
// Reader.Read takes the replies to its Commands from First, and asks further with Ask, in plain
// order. If Ask has no replies yet, its decoder has an error, and Read returns that like any
// other. The engine sends what was asked, together with what other queues ask, and runs Read
// again from its beginning, in which each question that was answered gets the same replies
// once more. No goroutine waits, so ten thousand queues that need one round trip cost nothing
// more.
//
// Therefore Read asks the same as long as the replies are the same, and what it keeps for later
// readings is kept with Remember. Only what comes out the same when it is noted twice may be
// noted at once, and not before the error of the decoder was looked at.
type RoundTrips struct {
	first   roundTrip
	further []roundTrip
	// taken is how many of further this run of Read has asked for.
	taken int
	// unanswered is what this run has asked in vain; nil if nothing.
	unanswered []resp.Command
	// notes are run when the reading is complete.
	notes []func()
}

// A roundTrip is a question that was answered at a moment.
type roundTrip struct {
	commands []resp.Command
	replies  []resp.Reply
	at       time.Time
}

// Begin begins a reading whose first round trip was answered at the moment now. Read is run
// then. The caller may change replies after the next call of End.
func (t *RoundTrips) Begin(replies []resp.Reply, now time.Time) {
	t.first.replies, t.first.at = replies, now
	t.further, t.taken, t.unanswered, t.notes = nil, 0, nil, nil
}

// First returns the replies to the Commands of the reader.
func (t *RoundTrips) First() *resp.Decoder { return resp.NewDecoder(t.first.replies) }

// Ask returns the replies to further commands.
func (t *RoundTrips) Ask(commands ...resp.Command) *resp.Decoder {
	if len(commands) == 0 {
		return resp.NewDecoder(nil)
	}
	if t.unanswered == nil && t.taken < len(t.further) {
		if answered := t.further[t.taken]; slices.EqualFunc(answered.commands, commands, resp.Command.SameAs) {
			t.taken++
			return resp.NewDecoder(answered.replies)
		}
		// Something else than replies decides what is asked, and has changed.
		t.further = t.further[:t.taken]
	}
	if t.unanswered == nil {
		t.unanswered = commands
	}
	d := resp.NewDecoder(nil)
	d.Fail(errUnanswered)
	return d
}

// Now returns the moment of the last answer that this run of Read was given: the reading is no
// older than that.
func (t *RoundTrips) Now() time.Time {
	if t.taken == 0 {
		return t.first.at
	}
	return t.further[t.taken-1].at
}

// Remember has a function called once when the reading is complete, and not if it fails. The
// function keeps what later readings need, without a change to what this one asks.
func (t *RoundTrips) Remember(note func()) { t.notes = append(t.notes, note) }

// End ends a run of Read that has returned err. It returns the commands whose replies Read needs
// before it can know the reading or an error; nil if it has returned one of them.
func (t *RoundTrips) End(err error) (unanswered []resp.Command) {
	switch {
	case t.unanswered != nil:
		if len(t.further) == 0 {
			t.first.replies = slices.Clone(t.first.replies)
		}
	case err == nil:
		for _, note := range t.notes {
			note()
		}
	}
	return t.unanswered
}

// Unanswered returns what End has returned.
func (t *RoundTrips) Unanswered() []resp.Command { return t.unanswered }

// Answer notes the replies to what is unanswered. It keeps a copy of them. Read is run again
// then.
func (t *RoundTrips) Answer(replies []resp.Reply, now time.Time) {
	t.further = append(t.further, roundTrip{t.unanswered, slices.Clone(replies), now})
	t.taken, t.unanswered, t.notes = 0, nil, nil
}
