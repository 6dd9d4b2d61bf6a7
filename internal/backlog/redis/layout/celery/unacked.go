package celery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// unacknowledged is how many messages of all queues are unacknowledged, and how many of them
// the index has.
type unacknowledged struct {
	total   int64
	indexed backlog.Count
}

// missing is how many are not in the index.
func (u unacknowledged) missing() int64 {
	if !u.indexed.Known {
		return 0
	}
	return max(0, u.total-u.indexed.N)
}

// countAll counts the unacknowledged messages of all queues.
func (q *queue) countAll(r *backlog.Reading, u unacknowledged, now time.Time) {
	o := layout.NewOrphans(q.params)
	missing := u.missing()
	if since := q.short.Note(missing > 0, now); missing > 0 && now.Sub(since) >= layout.OrphanGrace {
		u.total -= missing - o.Add(missing, since, now)
	}
	r.InFlight = backlog.Exactly(u.total)
	q.mark(o, r)
}

func (q *queue) mark(o *layout.Orphans, r *backlog.Reading) {
	o.Mark(r, fmt.Sprintf("unacknowledged work has no score in %q, so no worker puts it back on the queue", q.index))
}

// countOwn looks at the unacknowledged messages, and counts those of this queue.
func (q *queue) countOwn(trips *layout.RoundTrips, r *backlog.Reading, u unacknowledged) error {
	if u.total == 0 {
		trips.Remember(func() { q.lost = nil })
		r.InFlight = backlog.Exactly(0)
		return nil
	}
	commands := []resp.Command{{Key: q.unacked, Args: []any{"HRANDFIELD", q.unacked, sampleSize, "WITHVALUES"}}}
	check := u.indexed.Known && u.total <= sampleSize && (u.missing() > 0 || len(q.lost) > 0)
	if check {
		// Last, because what is added in between is in the index only.
		commands = append(commands, resp.Command{Key: q.index, Args: []any{"ZRANGE", q.index, 0, 2 * sampleSize}})
	}
	c := trips.Ask(commands...)
	if refused := c.Rest(); len(refused) > 0 && refused[0].IsDenied() {
		countUndecided(r, u, refused[0].Denial("HRANDFIELD", 6, 2))
		return nil
	}
	pairs := c.Strings(-1)
	if len(pairs)%2 != 0 {
		c.Fail(fmt.Errorf("%w: %d elements where names and values belong", resp.ErrReply, len(pairs)))
	}
	var index []string
	if check {
		index = c.Strings(-1)
	}
	if c.Err() != nil {
		return c.Err()
	}
	lost := q.lost
	if check {
		lost = q.missingSince(pairs, index, trips.Now())
		trips.Remember(func() { q.lost = lost })
	}
	sample := newClaimed(pairs, lost)
	sample.partial = sample.looked >= sampleSize && u.total > sample.looked
	bindings, allowed, err := q.askBindings(trips, sample.exchanges)
	switch {
	case err != nil:
		return err
	case !allowed:
		countUndecided(r, u, "the server does not allow SRANDMEMBER")
	default:
		q.countClaimed(r, sample, bindings, trips.Now())
	}
	return nil
}

// missingSince returns since when messages are not in the index, by their tags. Both are changed
// together, so that a message is in one alone only while it is acknowledged between two commands.
func (q *queue) missingSince(pairs, index []string, now time.Time) map[string]time.Time {
	if len(index) > 2*sampleSize {
		// Not all of it was read.
		return nil
	}
	indexed := make(map[string]bool, len(index))
	for _, tag := range index {
		indexed[tag] = true
	}
	lost := make(map[string]time.Time)
	for i := 0; i < len(pairs); i += 2 {
		if tag := pairs[i]; !indexed[tag] {
			lost[tag] = layout.Earlier(q.lost[tag], now)
		}
	}
	return lost
}

// countUndecided counts the messages of all queues, because the server does not allow to read
// which queues they are of.
func countUndecided(r *backlog.Reading, u unacknowledged, refused string) {
	r.InFlight, r.Quality = backlog.Exactly(u.total), backlog.UpperBound
	r.Warning = refused + ", so what workers of all queues have taken counts as in flight"
}

// askBindings asks to which queues exchanges lead. It is not allowed if the server denies it.
func (q *queue) askBindings(trips *layout.RoundTrips, exchanges []string) (bindings map[string][]binding, allowed bool, err error) {
	var commands []resp.Command
	for _, exchange := range exchanges {
		key := q.prefix + bindingPrefix + exchange
		commands = append(commands, resp.Command{Key: key, Args: []any{"SRANDMEMBER", key, layout.RegistryPage}})
	}
	c := trips.Ask(commands...)
	if slices.ContainsFunc(c.Rest(), resp.Reply.IsDenied) {
		return nil, false, nil
	}
	bindings = make(map[string][]binding)
	for _, exchange := range exchanges {
		rows := c.Strings(-1)
		if len(rows) >= layout.RegistryPage {
			// Not all of them are seen, so where its messages go is not known.
			continue
		}
		bindings[exchange] = nil
		for _, row := range rows {
			// routing key, pattern, queue
			if parts := strings.Split(row, q.separator); len(parts) == 3 {
				bindings[exchange] = append(bindings[exchange], binding{key: parts[0], queue: parts[2]})
			}
		}
	}
	return bindings, true, c.Err()
}

// countClaimed counts the messages of the queue among those that were looked at.
func (q *queue) countClaimed(r *backlog.Reading, sample *claimed, bindings map[string][]binding, now time.Time) {
	o := layout.NewOrphans(q.params)
	*r = sample.complete(*r, q.name, bindings)
	for _, since := range sample.lostOf(q.name, bindings) {
		if now.Sub(since) >= layout.OrphanGrace {
			r.InFlight.N -= 1 - o.Add(1, since, now)
		}
	}
	q.mark(o, r)
}
