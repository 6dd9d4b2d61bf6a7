package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

var (
	// errNoAnswer is a partition that is missing in an answer.
	errNoAnswer = fmt.Errorf("%w: the broker says nothing of it", backlog.ErrPartial)
	// errNoLeader is a partition that no broker leads at present.
	errNoLeader = fmt.Errorf("%w: it has no leader", backlog.ErrUnavailable)
	// errShrunk is an end below one that was read before. The broker may have been replaced as the
	// leader without knowing it yet.
	errShrunk = fmt.Errorf("%w: its end is lower than before", backlog.ErrUnavailable)
	// errPassed is a start above the end: between the two answers messages were written, and those
	// before them deleted. How many there are is not known.
	errPassed = fmt.Errorf("%w: its start is higher than its end", backlog.ErrUnavailable)
)

// An offset is one answer about a partition.
type offset struct {
	n   int64
	err error
}

// A topic is what is known of one topic from one read to the next. The goroutine that reads owns it.
type topic struct {
	name string
	// id is that of the last description without an error.
	id         [16]byte
	about      *description
	partitions []partition
	// losses counts how often messages were lost at the end of a partition, as after an unclean
	// election.
	losses int
	used   time.Time
}

// A partition is one of a topic.
type partition struct {
	// high, stable and start are the answers of the read under way: see position.
	high, stable, start offset
	history             history
	// highest is the last end; -1 before the first. shrunk reports that a lower one was read once,
	// and is believed if it is read again.
	highest int64
	shrunk  bool
}

// isAnother reports whether a description is that of another topic of the same name, which was created
// again. One with an error says nothing of that.
func (t *topic) isAnother(about *description) bool { return about.err == nil && t.id != about.id }

// begin prepares a read: every partition is without an answer. A description with an error leaves them
// as they are, because none of them is read.
func (t *topic) begin(about *description) {
	t.about = about
	if about.err != nil {
		return
	}
	for len(t.partitions) < len(about.leaders) {
		t.partitions = append(t.partitions, partition{highest: -1})
	}
	t.partitions = t.partitions[:len(about.leaders)]
	for i := range t.partitions {
		p := &t.partitions[i]
		p.high, p.stable, p.start = offset{err: errNoAnswer}, offset{err: errNoAnswer}, offset{err: errNoAnswer}
	}
}

// judge accepts an end. One that is lower than before is an error at first, so that what is known of
// the leader is renewed, and a loss if it is read again.
func (t *topic) judge(p *partition) {
	switch {
	case p.high.err != nil:
	case p.high.n >= p.highest:
		p.highest, p.shrunk = p.high.n, false
	case !p.shrunk:
		p.high.err, p.shrunk = errShrunk, true
	default:
		p.highest, p.shrunk = p.high.n, false
		t.losses++
	}
}

// life names the life of the topic's data within its cluster: in another one an offset is that of
// another message.
func (t *topic) life() string { return fmt.Sprintf("%x/%d", t.id, t.losses) }

// epoch names the life of the topic's data.
func (t *topic) epoch(cluster string) string { return cluster + "/" + t.life() }

// A group is a consumer group, or a share group, with what is known of it from one read to the next.
// The goroutine that reads owns it.
type group struct {
	name  string
	share bool
	// coordinator is the broker that stores its offsets; -1 while that is unknown. err is why the
	// group cannot be read, in the read under way.
	coordinator int32
	err         error
	topics      map[*topic]*commits
	used        time.Time
}

// commits are the offsets of a group in one topic.
type commits struct {
	offsets []offset
	// lags are those of a share group, as the broker computes them; negative where it does not know.
	lags     []int64
	progress []progress
	used     time.Time
}

// begin prepares a read of a topic.
func (g *group) begin(t *topic, now time.Time) {
	c := g.topics[t]
	if c == nil {
		c = &commits{}
		g.topics[t] = c
	}
	c.used = now
	n := len(t.partitions)
	c.offsets = resize(c.offsets, n)
	c.lags = resize(c.lags, n)
	c.progress = resize(c.progress, n)
	for i := range c.offsets {
		c.offsets[i], c.lags[i] = offset{err: errNoAnswer}, -1
	}
}

func resize[T any](s []T, n int) []T {
	for len(s) < n {
		var zero T
		s = append(s, zero)
	}
	return s[:n]
}

// faults collects why partitions could not be read.
type faults struct {
	first    error
	where    int
	failed   int
	answered int
	stale    bool
}

func (f *faults) add(partition int, err error) {
	if err == nil {
		f.answered++
		return
	}
	f.failed++
	f.stale = f.stale || isStale(err)
	if f.first == nil || errors.Is(err, backlog.ErrDenied) && !errors.Is(f.first, backlog.ErrDenied) {
		f.first, f.where = err, partition
	}
}

// err returns the faults as one error. Where some partitions were read and others not, it is
// ErrPartial: the sum of those that were read is no count of anything.
func (f *faults) err() error {
	switch {
	case f.first == nil:
		return nil
	case f.answered > 0 && !errors.Is(f.first, backlog.ErrDenied) && !errors.Is(f.first, backlog.ErrPartial):
		return fmt.Errorf("%w: %d of %d partitions were not read, such as %d: %s", backlog.ErrPartial, f.failed, f.failed+f.answered, f.where, f.first.Error())
	default:
		return fmt.Errorf("partition %d: %w", f.where, f.first)
	}
}
