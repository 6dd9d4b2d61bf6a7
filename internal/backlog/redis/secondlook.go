package redis

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/topology"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// The commands of a pipeline are run one by one, and other clients run theirs in between.
// A job that goes from one key to another meanwhile may be in neither: layouts ask in the
// order in which jobs go through a queue, so one that goes forward is counted, but one that
// goes back, as from active to wait, is missed. Where nothing else is in the queue that
// would be a false zero.
//
// So a reading without work that is news is not believed before a second look has agreed,
// which takes all commands of the first one as one transaction: what it counts was all
// there at one moment, and no way of moving a job makes it miss one. Reading once more
// costs nothing where nothing changes: a queue without work that was not disturbed since is
// read as before.
//
// That a zero may follow a zero without a second look makes none false that was not: by
// induction, a queue that always had work is never reported without any. One that has got
// work just now is reported with it a little later at worst: the change of its keys wakes,
// and where nothing wakes the next poll comes.
//
// Where the server allows no transactions, and in a cluster where the keys are of several
// slots, the second look is a pipeline like the first. Then a job is missed only if it goes
// back during both of them, and so goes forward again in between. What puts jobs back does
// so seconds apart: checks for stalled jobs, visibility timeouts, restarts.

// maxTransaction is how many commands are run as one at most. The server does nothing else
// meanwhile, for less than a millisecond.
const maxTransaction = 1000

// transactionRetry is for how long the commands of a query, or of all on a server, are not
// run as one after that was refused.
const transactionRetry = 10 * time.Minute

// maxLooks bounds the looks of one read. There is a third one where the second had to ask
// for what the first had not, such as the messages that a worker has just taken: that was
// not of the same moment.
const maxLooks = 3

// A look is what a job notes for its next look. It is small, because there is one for each
// queue of a read.
type look struct {
	// later are the commands of its further steps; those of the look before until its own
	// are known.
	later [][]resp.Command
	// sent is how many commands this look has sent, and trips in how many trips.
	sent  int32
	trips uint8
	// looks counts the looks that have ended.
	looks uint8
	// calm says that a reading without work would continue one, undisturbed.
	calm bool
	// changed says that a change was heard of during an earlier look.
	changed bool
	// counters is how many counters this trip asks for.
	counters int32
}

// note notes the commands of a trip, which are of use until the next one.
func (j *job) note(sent []resp.Command) {
	j.sent += int32(len(sent)) //nolint:gosec // far fewer commands are sent at once
	j.trips++
	if j.trips > 1 && !j.undisturbed() {
		j.later = append(j.later, slices.Clone(sent))
	}
}

// undisturbed reports whether a reading without work would be no news.
func (j *job) undisturbed() bool { return j.calm && j.plan.armed.Load() }

// doubts reports whether a reading has to be agreed with by another look: it is of several
// commands, and they were not all run at one moment.
func (j *job) doubts(r *backlog.Reading) bool {
	if r.Backlog() > 0 || j.sent <= 1 {
		return false
	}
	if j.looks == 0 {
		return !j.undisturbed()
	}
	return j.trips > 1 && j.looks+1 < maxLooks
}

// lookAgain begins another look.
func (j *job) lookAgain() {
	j.changed = j.changed || !j.plan.armed.Load()
	j.plan.arm()
	j.step, j.armed, j.epoch = j.plan.first, true, ""
	j.looks, j.sent, j.trips = j.looks+1, 0, 0
	// What is read is news now, whatever was heard since.
	j.calm = false
}

// ask appends the commands of the step of a job, in a second look those of the further
// steps too.
func (s *source) ask(j *job, dst []resp.Command, now time.Time) []resp.Command {
	j.from = len(dst)
	dst = j.step.Commands(dst, now)
	j.own = len(dst) - j.from
	if j.looks > 0 && j.trips == 0 {
		for _, later := range j.later {
			dst = append(dst, later...)
		}
		s.join(j, dst[j.from:], now)
		dst = j.askCounters(dst)
	}
	j.to = len(dst)
	return dst
}

// join makes commands of a job run as one, if they can be.
func (s *source) join(j *job, commands []resp.Command, now time.Time) {
	if len(commands) < 2 || len(commands) > maxTransaction || now.Before(j.plan.singly) || j.redirects != nil {
		return
	}
	if s.cfg.Mode == conn.ModeCluster {
		slot := topology.SlotOf(commands[0].Key)
		if slices.ContainsFunc(commands, func(c resp.Command) bool { return topology.SlotOf(c.Key) != slot }) {
			return
		}
	}
	for i := range commands {
		commands[i].Transaction = j.index + 1
	}
}

// notRun reports whether the commands of a job were to be run as one and were not, and
// then begins the second look once more without that.
func (j *job) notRun(replies []resp.Reply, now time.Time) bool {
	if !slices.ContainsFunc(replies, func(r resp.Reply) bool { return r.Err == resp.ErrDiscarded }) { //nolint:errorlint // it is never wrapped
		return false
	}
	j.plan.singly = now.Add(transactionRetry)
	j.redirects = nil
	j.lookAgain()
	j.looks--
	return true
}

// lookedAgain makes something of the replies in a second look. The further steps take theirs at
// once, if they ask what those of the first look have asked.
func (j *job) lookedAgain(replies []resp.Reply, now, at time.Time) layout.Outcome {
	replies = j.takeCounters(replies)
	o := j.step.Outcome(replies[:j.own], at)
	if j.trips > 0 {
		return o
	}
	replies = replies[j.own:]
	for i, asked := range j.later {
		if o.Next == nil || !slices.EqualFunc(o.Next.Commands(nil, now), asked, sameCommand) {
			j.later = j.later[:i]
			break
		}
		o = o.Next.Outcome(replies[:len(asked)], at)
		replies = replies[len(asked):]
	}
	return o
}

func sameCommand(a, b resp.Command) bool { return slices.Equal(a.Args, b.Args) }
