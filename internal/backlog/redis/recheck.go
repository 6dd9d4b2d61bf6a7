package redis

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// The commands of a pipeline are run one by one, and other clients run theirs in between.
// A job that goes from one key to another meanwhile may be in neither: layouts ask in the
// order in which jobs go through a queue, so one that goes forward is counted, but one that
// goes back, as from active to wait, is missed. Where nothing else is in the queue that
// would be a false zero.
//
// So a reading without work that is news is not believed before a recheck has agreed. It runs
// all commands of the first reading as one transaction: what it counts was all there at one
// moment, and no way of moving a job makes it miss one. That costs nothing where nothing
// changes: a queue without work that was not disturbed since is read once, as before.
//
// That a zero may follow a zero without a recheck makes none false that was not: by
// induction, a queue that always had work is never reported without any. One that has got
// work just now is reported with it a little later at worst: the change of its keys wakes,
// and where nothing wakes the next poll comes.
//
// Where the server allows no transactions, and in a cluster where the keys are of several
// slots, the recheck is a pipeline like the first reading. Then a job is missed only if it goes
// back during both of them, and so goes forward again in between. What puts jobs back does
// so seconds apart: checks for stalled jobs, visibility timeouts, restarts.

// maxTransaction is how many commands are run as one at most. The server does nothing else
// meanwhile, for less than a millisecond.
const maxTransaction = 1000

// transactionRetry is for how long the commands of a query are not run as one after that was
// refused.
const transactionRetry = 10 * time.Minute

// maxReads bounds how often one Read reads a query. It is a third time where the second had to
// ask for what the first had not, such as the messages that a worker has just taken: that was
// not of the same moment.
const maxReads = 3

// A recheck is what a query notes so that it can be read once more. It is small, because there
// is one for each queue of a read.
type recheck struct {
	// later are the commands of its further steps; those of the reading before until its own
	// are known.
	later [][]resp.Command
	// sent is how many commands this reading has sent, and roundTrips in how many round trips.
	sent       int32
	roundTrips uint8
	// reads counts the readings that have ended.
	reads uint8
	// undisturbed reports that the last reading was without work, and that no change was
	// reported since.
	undisturbed bool
	// changed reports that a change was reported during an earlier reading.
	changed bool
	// counters is how many counters this round trip asks for.
	counters int32
}

// noteSent notes the commands of a round trip, which are of use until the next one.
func (p *pendingQuery) noteSent(sent []resp.Command) {
	p.sent += int32(len(sent)) //nolint:gosec // far fewer commands are sent at once
	p.roundTrips++
	if p.roundTrips > 1 && !p.isUndisturbed() {
		p.later = append(p.later, slices.Clone(sent))
	}
}

// isUndisturbed reports whether a reading without work would be no news.
func (p *pendingQuery) isUndisturbed() bool { return p.undisturbed && p.plan.armed.Load() }

// needsRecheck reports whether another reading has to agree with this one: it is of several
// commands, and they were not all run at one moment.
func (p *pendingQuery) needsRecheck(r *backlog.Reading) bool {
	if r.Backlog() > 0 || p.sent <= 1 || p.plan.query.Workers {
		return false
	}
	if p.reads == 0 {
		return !p.isUndisturbed()
	}
	return p.roundTrips > 1 && p.reads+1 < maxReads
}

// startRecheck begins another reading.
func (p *pendingQuery) startRecheck() {
	p.changed = p.changed || !p.plan.armed.Load()
	p.plan.arm()
	p.step, p.armed, p.epoch = p.plan.first, true, ""
	p.reads, p.sent, p.roundTrips = p.reads+1, 0, 0
	// What is read is news now, whatever was reported since.
	p.undisturbed = false
}

// appendCommands appends the commands of the step of a query. A recheck appends those of the
// further steps too.
func (s *source) appendCommands(p *pendingQuery, dst []resp.Command, now time.Time) []resp.Command {
	p.from = len(dst)
	if k := p.plan.changer; k != nil && p.step == p.plan.first {
		k.begin(now)
	}
	dst = p.step.Commands(dst, now)
	p.own = len(dst) - p.from
	if p.reads > 0 && p.roundTrips == 0 {
		for _, later := range p.later {
			dst = append(dst, later...)
		}
		s.asTransaction(p, dst[p.from:], now)
		dst = p.appendCounters(dst)
	}
	p.to = len(dst)
	return dst
}

// asTransaction makes commands of a query run as one, if they can be.
func (s *source) asTransaction(p *pendingQuery, commands []resp.Command, now time.Time) {
	if len(commands) < 2 || len(commands) > maxTransaction || now.Before(p.plan.singly) || p.redirects != nil {
		return
	}
	if s.cfg.Mode == conn.ModeCluster {
		slot := topology.SlotOf(commands[0].Key)
		if slices.ContainsFunc(commands, func(c resp.Command) bool { return topology.SlotOf(c.Key) != slot }) {
			return
		}
	}
	for i := range commands {
		commands[i].Transaction = p.index + 1
	}
}

// wasDiscarded reports whether the commands of a query were to be run as one and were not, and
// then begins the recheck once more without that.
func (p *pendingQuery) wasDiscarded(replies []resp.Reply, now time.Time) bool {
	if !slices.ContainsFunc(replies, func(r resp.Reply) bool { return r.Err == resp.ErrDiscarded }) { //nolint:errorlint // it is never wrapped
		return false
	}
	p.plan.singly = now.Add(transactionRetry)
	p.redirects = nil
	p.startRecheck()
	p.reads--
	return true
}

// concludeRecheck is Conclude for a recheck. The further steps take their replies at
// once, if they ask what those of the first reading have asked.
func (p *pendingQuery) concludeRecheck(replies []resp.Reply, now, at time.Time, o *outcome) {
	replies = p.takeCounters(replies)
	p.step.Conclude(replies[:p.own], at, o)
	if p.roundTrips > 0 {
		return
	}
	replies = replies[p.own:]
	for i, asked := range p.later {
		if o.next == nil || !slices.EqualFunc(o.next.Commands(nil, now), asked, resp.Command.SameAs) {
			p.later = p.later[:i]
			break
		}
		o.next.Conclude(replies[:len(asked)], at, o)
		replies = replies[len(asked):]
	}
}
