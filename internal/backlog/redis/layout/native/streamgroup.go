package native

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Group returns the reader of a stream as a consumer group sees it. A
// layout without the parameters groupStart and scan gets their defaults.
func Group(q backlog.Query, group string) layout.Reader {
	// The parser has checked the number; anything else is never.
	scan, _ := strconv.ParseInt(q.Params.Get("scan"), 10, 64)
	return &streamGroup{
		key: q.Queue, group: group, fromLast: q.Params.Get("groupStart") == "last", scan: scan,
		params: q.Params, idle: layout.NewOrphans(q.Params).After,
	}
}

// A streamGroup asks for the state of a consumer group.
type streamGroup struct {
	key, group string
	fromLast   bool
	scan       int64
	params     backlog.Params
	// idle is for how long what was served counts although no consumer touches it; zero is
	// for ever.
	idle time.Duration

	// verified is what XINFO STREAM made of a lag that may be too high. While the
	// server reports the same again, that is still the answer: whatever is added
	// raises the lag.
	verified verifiedLag
	// head is since when something has been waiting behind the same last delivery.
	head waitingHead
}

type verifiedLag struct {
	length, lag   int64
	lastDelivered streamID
	entriesRead   backlog.Count

	n       int64
	quality backlog.Quality
	known   bool
}

type waitingHead struct {
	behind streamID
	since  time.Time
}

// Commands implements layout.Reader.
func (s *streamGroup) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	// XLEN comes after XINFO GROUPS: it bounds the lag, and what is added in between
	// must not lower the bound.
	dst = append(dst,
		resp.Command{Key: s.key, KeyType: 't', Args: []any{"XINFO", "GROUPS", s.key}},
		resp.Command{Key: s.key, KeyType: 't', Args: []any{"XLEN", s.key}},
		resp.Command{Key: s.key, KeyType: 't', Args: []any{"XPENDING", s.key, s.group}},
	)
	if s.idle > 0 {
		dst = append(dst, resp.Command{Key: s.key, KeyType: 't', Args: []any{"XPENDING", s.key, s.group, "IDLE", max(1, s.idle.Milliseconds()), "-", "+", maxIdle}})
	}
	return dst
}

// Read implements layout.Reader.
func (s *streamGroup) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	replies := trips.First().Rest()
	if isNoSuchKey(replies[0].Err) {
		s.head = waitingHead{}
		return backlog.Reading{Missing: true, InFlight: backlog.Exactly(0)}, nil
	}
	state, found, err := s.state(replies)
	switch {
	case err != nil:
		return backlog.Reading{}, err
	case !found:
		return s.withoutGroup(state.facts.length), nil
	}
	n, quality, ok := state.facts.undelivered()
	if !ok {
		n, quality, ok = s.guess(state)
	}
	if !ok {
		return s.askEdges(trips, state)
	}
	return s.reading(state, n, quality, trips.Now()), nil
}

// state decodes what the first commands report. Without the group it is the length of the
// stream alone.
func (s *streamGroup) state(replies []resp.Reply) (state groupState, found bool, err error) {
	c := resp.NewDecoder(replies)
	rows, err := c.Next().List()
	if err != nil {
		return state, false, err
	}
	length := c.Count()
	if c.Err() != nil {
		return state, false, c.Err()
	}
	state, found, err = findGroup(rows, s.group)
	state.facts.length = length
	if err != nil || !found {
		return state, false, err
	}
	state.facts.lagTrust = replies[0].Server.Lag
	if pending := c.Next(); state.pending > 0 {
		state.oldestPending = oldestPending(pending)
	}
	if s.idle > 0 {
		state.leaveIdle(c.Next())
	}
	return state, true, nil
}

// withoutGroup is the reading of a stream whose group does not exist yet.
func (s *streamGroup) withoutGroup(length int64) backlog.Reading {
	s.head = waitingHead{}
	reading := backlog.Reading{InFlight: backlog.Exactly(0), Consumers: backlog.Exactly(0)}
	if s.fromLast {
		reading.Warning = fmt.Sprintf("consumer group %q does not exist yet; created at the last entry it would have nothing to do", s.group)
		return reading
	}
	reading.Ready = length
	reading.Warning = fmt.Sprintf("consumer group %q does not exist yet; every entry counts as waiting for it", s.group)
	return reading
}

// guess answers without XINFO STREAM, which sends two payloads along, where a lag
// that may be too high is good enough.
func (s *streamGroup) guess(state groupState) (n int64, quality backlog.Quality, ok bool) {
	f := state.facts
	if !f.lag.Known || f.lagTrust != resp.LagTooHigh {
		return 0, backlog.Exact, false
	}
	v := s.verified
	if v.known && v.length == f.length && v.lag == f.lag.N && v.lastDelivered == f.lastDelivered && v.entriesRead == f.entriesRead {
		return v.n, v.quality, true
	}
	switch {
	case f.lag.N == 0:
		return 0, backlog.Exact, true
	case state.pending > 0:
		// The queue is in use in any case.
		return min(f.lag.N, f.length), backlog.UpperBound, true
	default:
		return 0, backlog.Exact, false
	}
}

// reading composes the reading of a group with n undelivered entries.
func (s *streamGroup) reading(state groupState, n int64, quality backlog.Quality, now time.Time) backlog.Reading {
	r := backlog.Reading{
		Ready:     n,
		InFlight:  backlog.Exactly(state.pending),
		Dequeued:  state.facts.entriesRead,
		Enqueued:  state.facts.added(),
		Passed:    state.facts.lastDelivered.mark(),
		Consumers: backlog.Exactly(state.consumers),
		Quality:   quality,
		Oldest:    s.oldest(state, n, now),
	}
	if state.facts.lagTrust == resp.LagAbsent && quality != backlog.Exact && s.scan == 0 {
		r.Warning = "Redis before 7.0 does not tell the lag of a consumer group, so this is an upper bound; set scan, or trim the stream"
	}
	state.markIdle(&r, layout.NewOrphans(s.params), now)
	return r
}

// oldest returns since when the oldest entry waits that is not acknowledged.
func (s *streamGroup) oldest(state groupState, n int64, now time.Time) backlog.Age {
	if n == 0 {
		s.head = waitingHead{}
	} else if s.head.since.IsZero() || s.head.behind != state.facts.lastDelivered {
		s.head = waitingHead{behind: state.facts.lastDelivered, since: now}
	}
	// What is in flight was added before all that has not been delivered.
	if since, ok := state.oldestPending.time(now); ok {
		return backlog.Age{Since: since, Kind: backlog.AgeExact}
	}
	if n == 0 {
		return backlog.Age{}
	}
	if state.facts.edges && state.facts.lastDelivered.compare(state.facts.first) < 0 {
		if since, ok := state.facts.first.time(now); ok {
			return backlog.Age{Since: since, Kind: backlog.AgeExact}
		}
	}
	return backlog.Age{Since: s.head.since, Kind: backlog.AgeLowerBound}
}

// askEdges asks what is at the ends of the stream, and completes the reading with that.
func (s *streamGroup) askEdges(trips *layout.RoundTrips, state groupState) (backlog.Reading, error) {
	c := trips.Ask(resp.Command{Key: s.key, KeyType: 't', Args: []any{"XINFO", "STREAM", s.key}})
	edges := c.Next()
	if isNoSuchKey(edges.Err) {
		return backlog.Reading{Missing: true, InFlight: backlog.Exactly(0)}, nil
	}
	if c.Err() != nil {
		return backlog.Reading{}, c.Err()
	}
	before := state.facts
	if err := state.facts.addEdges(edges); err != nil {
		return backlog.Reading{}, err
	}
	// The edges are known now, so there is an answer.
	n, quality, _ := state.facts.undelivered()
	if quality != backlog.Exact && !state.facts.lag.Known && s.scan > 0 {
		return s.askEntries(trips, state, n)
	}
	s.verified = verifiedLag{}
	if before.lag.Known && before.length == state.facts.length {
		s.verified = verifiedLag{
			length: before.length, lag: before.lag.N, lastDelivered: before.lastDelivered, entriesRead: before.entriesRead,
			n: n, quality: quality, known: true,
		}
	}
	return s.reading(state, n, quality, trips.Now()), nil
}

// askEntries counts undelivered entries by reading them. There are at most atMost.
func (s *streamGroup) askEntries(trips *layout.RoundTrips, state groupState, atMost int64) (backlog.Reading, error) {
	after := state.facts.lastDelivered.next().String()
	c := trips.Ask(resp.Command{Key: s.key, KeyType: 't', Args: []any{"XRANGE", s.key, after, "+", "COUNT", s.scan}})
	if !c.Allowed() {
		r := s.reading(state, atMost, backlog.UpperBound, trips.Now())
		r.AddWarning("the server does not allow XRANGE, so scan has no effect and this is an upper bound")
		return r, nil
	}
	entries, err := c.Next().List()
	if err := cmp.Or(c.Err(), err); err != nil {
		return backlog.Reading{}, err
	}
	n, quality := int64(len(entries)), backlog.Exact
	if n >= s.scan {
		quality = backlog.Capped
	}
	return s.reading(state, n, quality, trips.Now()), nil
}
