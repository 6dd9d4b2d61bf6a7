package kafka

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/tail"
)

// shownPartitions is how many partitions a warning names.
const shownPartitions = 5

// conclude turns the answers for a job into its result.
func (s *source) conclude(j *job, now time.Time) {
	parts := make([]backlog.Part, 0, len(j.topics))
	waits := s.settings.Text("wakeUp") != wakePoll
	armed := waits
	for _, t := range j.topics {
		m := &measurement{source: s, job: j, topic: t, now: now}
		reading, err := m.reading()
		if err != nil {
			j.err, j.stale = fmt.Errorf("topic %q: %w", backlog.Line(t.name), err), m.faults.stale
			return
		}
		parts = append(parts, backlog.Part{Queue: t.name, Reading: reading})
		// Each topic is waited at, whether or not the others are already.
		armed = waits && m.arm() && armed
	}
	if !j.spec.several {
		*j.result = backlog.Result{Reading: parts[0].Reading, Armed: armed}
		return
	}
	*j.result = backlog.Result{Reading: s.whole(j.spec, parts, now), Armed: armed}
}

// whole returns the reading of several topics.
func (s *source) whole(spec *spec, parts []backlog.Part, now time.Time) backlog.Reading {
	r := backlog.Aggregate(parts)
	r.At, r.MaxUseful, r.InFlight = now, 0, backlog.Count{}
	epochs := make([]string, 0, len(parts))
	for i := range parts {
		part := &parts[i].Reading
		epochs = append(epochs, part.Epoch)
		// Consumers help only where there is something.
		if part.Backlog() > 0 {
			r.MaxUseful += part.MaxUseful
		}
	}
	if r.Backlog() == 0 {
		for i := range parts {
			r.MaxUseful += parts[i].Reading.MaxUseful
		}
	}
	if len(spec.patterns) == 0 {
		r.Epoch = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(epochs, ","))))
		return r
	}
	// Counters jump, and epochs change, when another topic is found.
	r.Enqueued, r.Dequeued, r.Passed = backlog.Count{}, backlog.Count{}, backlog.Count{}
	r.Epoch, _ = s.catalog.about()
	switch {
	case spec.more:
		r.Quality = max(r.Quality, backlog.LowerBound)
		r.AddWarning(fmt.Sprintf("more than %d topics match, and the others are not read", maxTopics))
	case len(parts) == 0:
		r.Warning = "no topic matches " + strings.Join(spec.patterns, ",") + " among those that the connection may describe"
	}
	return r
}

// A measurement turns the answers for one topic and one group into a reading.
type measurement struct {
	*source

	job    *job
	topic  *topic
	now    time.Time
	faults faults

	// busy are the partitions with messages, stuck those in which the group does not advance,
	// uncommitted those without an offset, and unread those whose rest cannot be looked into.
	busy, stuck, uncommitted, unread []int
	// age is that of the oldest message; aged reports that it is known in all busy partitions.
	age  backlog.Age
	aged bool
}

// reading returns the reading of the topic.
func (m *measurement) reading() (backlog.Reading, error) {
	cluster, _ := m.catalog.about()
	about := m.topic.about
	switch {
	case about.err != nil:
		return backlog.Reading{}, about.err
	case about.missing:
		return backlog.Reading{At: m.now, Missing: true, InFlight: backlog.Exactly(0), Epoch: cluster}, nil
	case m.job.group.err != nil:
		m.faults.stale = isStale(m.job.group.err)
		return backlog.Reading{}, m.job.group.err
	}
	r := backlog.Reading{At: m.now, Epoch: m.topic.epoch(cluster), Enqueued: backlog.Exactly(0), Dequeued: backlog.Exactly(0), Passed: backlog.Exactly(0)}
	m.aged = true
	c := m.job.group.topics[m.topic]
	for i := range m.topic.partitions {
		err := m.verify(c, i)
		m.faults.add(i, err)
		if err == nil {
			m.add(&r, c, i)
		}
	}
	if err := m.faults.err(); err != nil {
		return backlog.Reading{}, err
	}
	m.complete(&r)
	if m.job.spec.missing == missingError && len(m.uncommitted) > 0 {
		return backlog.Reading{}, fmt.Errorf("%w: the group %q has committed no offset in %s, and %s is %s",
			backlog.ErrMismatch, m.job.group.name, list(m.uncommitted), paramMissingOffset, missingError)
	}
	return r, nil
}

// verify returns why a partition cannot be counted.
func (m *measurement) verify(c *commits, i int) error {
	p := &m.topic.partitions[i]
	for _, one := range []*offset{&p.high, &c.offsets[i]} {
		if one.err != nil {
			return one.err
		}
	}
	if m.job.spec.committed && p.stable.err != nil {
		return p.stable.err
	}
	if at := m.position(c, i); !at.needsStart() {
		return nil
	}
	if p.start.err == nil && p.start.n > p.high.n {
		return errPassed
	}
	return p.start.err
}

func (m *measurement) position(c *commits, i int) position {
	p := &m.topic.partitions[i]
	at := position{committed: c.offsets[i].n, start: p.start.n, end: p.high.n, high: p.high.n}
	if m.job.spec.committed {
		at.end = min(p.stable.n, p.high.n)
	}
	return at
}

// add adds a partition to the reading.
func (m *measurement) add(r *backlog.Reading, c *commits, i int) {
	p := &m.topic.partitions[i]
	at := m.position(c, i)
	p.history.add(at.high, m.now)
	lag := at.lag(m.job.spec.missing)
	switch {
	case m.job.spec.group.share:
		lag = m.shareLag(at, c.lags[i], i)
	case !at.hasOffset():
		m.uncommitted = append(m.uncommitted, i)
	default:
		lag = m.rest(c, i, at, lag)
	}
	c.progress[i].note(at, lag, m.now)
	r.Ready += lag
	r.Enqueued.N += at.high
	r.Passed.N += at.high + at.committed
	if at.hasOffset() {
		r.Dequeued.N += at.committed
	} else {
		r.Dequeued.Known = false
	}
	if lag == 0 {
		return
	}
	m.busy = append(m.busy, i)
	if c.progress[i].isStuck(m.now) {
		m.stuck = append(m.stuck, i)
	}
	m.grow(p.history.arrival(at.next(m.job.spec.missing)))
}

// grow adds the age of the oldest message of a partition.
func (m *measurement) grow(age backlog.Age) {
	switch {
	case age.Kind == backlog.AgeUnknown:
		m.aged = false
	case m.age.Kind == backlog.AgeUnknown || age.Since.Before(m.age.Since):
		m.age = age
	}
}

// shareLag returns the lag of a share group in a partition.
func (m *measurement) shareLag(at position, lag int64, i int) int64 {
	switch {
	case lag >= 0:
		return lag
	case !at.hasOffset() && at.end > at.start:
		m.uncommitted = append(m.uncommitted, i)
		return at.end - at.start
	default:
		// The broker is one before 4.2: what members have acknowledged out of order counts, too.
		m.unread = append(m.unread, i)
		return at.lag(missingEarliest)
	}
}

// rest returns the lag without what no consumer gets: the markers of transactions, which consumers
// that commit the offset after their last message never pass. Only a lag that does not move is
// looked into.
func (m *measurement) rest(c *commits, i int, at position, lag int64) int64 {
	progress := &c.progress[i]
	if lag == 0 || lag > maxRest || progress.committed != at.committed || progress.end != at.end || !progress.isQuiet(m.now) {
		return lag
	}
	found, known := m.tails.Look(m.topic.about.leaders[i].id, m.before(i, at), m.job.spec.query, m.now)
	switch {
	case known && found.Empty:
		return 0
	case known && found.Denied:
		m.unread = append(m.unread, i)
	}
	return lag
}

// before is the span of what the group has before it in a partition.
func (m *measurement) before(i int, at position) tail.Span {
	return tail.Span{
		Place: tail.Place{Topic: m.topic.name, Partition: int32(i)}, //nolint:gosec // the number of a partition
		Life:  m.topic.life(), From: at.next(m.job.spec.missing), To: at.end, Committed: m.job.spec.committed,
	}
}

// complete adds what follows from all partitions.
func (m *measurement) complete(r *backlog.Reading) {
	r.Oldest = m.age
	if !m.aged && r.Oldest.Kind != backlog.AgeUnknown {
		r.Oldest.Kind = backlog.AgeLowerBound
	}
	if m.job.spec.group.share {
		// Members share partitions, so there may be more of them.
		m.completeShare(r)
		return
	}
	r.MaxUseful = int64(len(m.busy))
	if r.MaxUseful == 0 {
		r.MaxUseful = int64(len(m.topic.partitions))
	}
	if len(m.unread) > 0 {
		r.Quality = backlog.UpperBound
		r.AddWarning(fmt.Sprintf("the few messages left in %s may be markers of transactions, which only a user with READ on the topic can see", list(m.unread)))
	}
	switch {
	case len(m.uncommitted) == 0:
	case m.job.spec.missing == missingLatest:
		r.AddWarning(fmt.Sprintf("the group has committed no offset in %s: what is there does not count, and consumers that begin at the end skip it", list(m.uncommitted)))
	case r.Ready > 0:
		r.Quality = backlog.UpperBound
		r.AddWarning(fmt.Sprintf("the group has committed no offset in %s: all that is there counts, which is too much for consumers that begin at the end", list(m.uncommitted)))
	}
	switch {
	case len(m.stuck) == 0:
	case len(m.stuck) == len(m.busy):
		r.AddWarning("the group has not advanced for more than a minute although messages wait: its consumers are stopped or stuck")
	default:
		r.AddWarning(fmt.Sprintf("the group has not advanced in %s for more than a minute although messages wait there, and advances in others: its consumers of these are stuck", list(m.stuck)))
	}
}

func (m *measurement) completeShare(r *backlog.Reading) {
	r.Dequeued = backlog.Count{}
	if len(m.unread)+len(m.uncommitted) > 0 && r.Ready > 0 {
		r.Quality = backlog.UpperBound
	}
	if len(m.uncommitted) > 0 {
		r.AddWarning(fmt.Sprintf("the share group has acknowledged nothing yet in %s: all that is there counts", list(m.uncommitted)))
	}
	if r.Ready > 0 && len(m.stuck) == len(m.busy) {
		r.AddWarning("the share group has not advanced for more than a minute although messages wait")
	}
}

// arm waits at the ends of all partitions, and reports whether each change from now on wakes. A
// partition with messages is waited at only while its end rests: it is read every second, and each
// batch that a fetch brings along is read in vain.
func (m *measurement) arm() bool {
	if m.topic.about.missing {
		m.catalog.await(m.topic.name, m.job.spec.query, m.now)
		return true
	}
	armed := true
	for i := range m.topic.partitions {
		p := &m.topic.partitions[i]
		at := tail.Place{Topic: m.topic.name, Partition: int32(i)}
		rests := p.history.rests()
		if !rests && m.job.group.topics[m.topic].progress[i].busy {
			armed = false
			continue
		}
		if !m.tails.Arm(m.topic.about.leaders[i].id, at, p.high.n, m.job.spec.query, m.now) {
			armed = false
		}
	}
	return armed
}

// list names partitions.
func list(partitions []int) string {
	names := make([]string, 0, shownPartitions)
	for _, p := range partitions[:min(len(partitions), shownPartitions)] {
		names = append(names, strconv.Itoa(p))
	}
	word := "partition "
	if len(partitions) > 1 {
		word = "partitions "
	}
	text := word + strings.Join(names, ", ")
	if more := len(partitions) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
