package native

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

var errNeedsGroup = errors.New("groupStart, scan, orphanedAfter: need a consumerGroup")

// Stream is a Redis stream, as a whole or as one consumer group sees it.
func Stream() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "stream",
			Summary: "A stream, read by a consumer group: what the group has not been served yet is ready, what it was served and did not " +
				"acknowledge is in flight. Without consumerGroup every entry counts, and the number falls only when entries are deleted or trimmed. A group that is set back (XGROUP SETID) on a stream at rest is noticed within a minute, because Redis does not notify about it.",
			Queue:    "key of the stream",
			Patterns: layout.FoundByScan("streams"),
			Parameters: []backlog.Parameter{
				{Name: "consumerGroup", Kind: backlog.KindText, Doc: "Consumer group whose backlog it is."},
				{Name: "groupStart", Kind: backlog.KindChoice, Allowed: []string{"first", "last"}, Default: "first", Doc: "Where the workers will create a group that does not exist yet: at the first entry (id 0), so that all entries wait for it, or at the last (id $), so that none does."},
				{Name: "scan", Kind: backlog.KindInteger, Min: 0, Max: 10000, Default: "0", Doc: "Where the server cannot tell the lag, count the entries themselves, up to this many. It needs the permission xrange and moves payloads. 0 is never: then an upper bound is reported."},
				layout.OrphanParameter(StreamOrphans),
			},
			Ready:    "entries that the group was not served yet; without a group the length of the stream",
			InFlight: "entries that the group was served and has not acknowledged",
			Passing:  "the id of the last entry that the group was served; nothing without a group, where what passed is still there",
			Oldest:   "exact from the id of the oldest unacknowledged entry, or of the first entry of a stream that was not served yet; else a lower bound; unknown without a group",
			Check: func(q backlog.Query) error {
				if q.Params.Get("consumerGroup") == "" && (q.Params.Get("groupStart") == "last" || q.Params.Get("scan") > "0" || q.Params.Get(layout.OrphanedAfter) != "") {
					return errNeedsGroup
				}
				return nil
			},
		},
		Discover: layout.KeysOfType("stream"),
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Step {
			group := q.Params.Get("consumerGroup")
			if group == "" {
				return &lengthStep{key: q.Queue}
			}
			return Group(q, group)
		},
	}
}

// Group returns the first step of reading a stream as a consumer group sees it. A
// layout without the parameters groupStart and scan gets their defaults.
func Group(q backlog.Query, group string) layout.Step {
	// The parser has checked the number; anything else is never.
	scan, _ := strconv.ParseInt(q.Params.Get("scan"), 10, 64)
	return &groupStep{
		key: q.Queue, group: group, fromLast: q.Params.Get("groupStart") == "last", scan: scan,
		params: q.Params, idle: layout.NewOrphans(q.Params).After,
	}
}

// A lengthStep asks for the length of a stream.
type lengthStep struct{ key string }

// Commands implements layout.Step.
func (s *lengthStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst,
		resp.Command{Key: s.key, KeyType: 't', Args: []any{"XLEN", s.key}},
		resp.Command{Key: s.key, KeyType: 't', Args: []any{"EXISTS", s.key}},
	)
}

// Outcome implements layout.Step.
func (s *lengthStep) Outcome(replies []resp.Reply, _ time.Time) layout.Outcome {
	length, err := replies[0].Count()
	if err != nil {
		return layout.Fail(err)
	}
	exists, err := replies[1].Count()
	if err != nil {
		return layout.Fail(err)
	}
	return layout.Done(backlog.Reading{Ready: length, Missing: length == 0 && exists == 0})
}

// A groupStep asks for the state of a consumer group.
type groupStep struct {
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

// Commands implements layout.Step.
func (s *groupStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
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

// Outcome implements layout.Step.
func (s *groupStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if isNoSuchKey(replies[0].Err) {
		s.head = waitingHead{}
		return layout.Done(backlog.Reading{Missing: true})
	}
	rows, err := replies[0].List()
	if err != nil {
		return layout.Fail(err)
	}
	length, err := replies[1].Count()
	if err != nil {
		return layout.Fail(err)
	}
	state, found, err := findGroup(rows, s.group)
	if err != nil {
		return layout.Fail(err)
	}
	if !found {
		return layout.Done(s.withoutGroup(length))
	}
	state.facts.length = length
	state.facts.lagTrust = replies[0].Server.Lag
	if state.pending > 0 {
		state.oldestPending = oldestPending(replies[2])
	}
	if s.idle > 0 {
		state.leaveIdle(replies[3])
	}
	return s.decide(state, now)
}

// withoutGroup is the reading of a stream whose group does not exist yet.
func (s *groupStep) withoutGroup(length int64) backlog.Reading {
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

// decide makes a reading of state, or the step that finds out what is missing.
func (s *groupStep) decide(state groupState, now time.Time) layout.Outcome {
	n, quality, ok := state.facts.undelivered()
	if !ok {
		n, quality, ok = s.guess(state)
	}
	if !ok {
		return layout.Outcome{Next: &edgesStep{groupStep: s, state: state}}
	}
	return layout.Done(s.reading(state, n, quality, now))
}

// guess answers without XINFO STREAM, which sends two payloads along, where a lag
// that may be too high is good enough.
func (s *groupStep) guess(state groupState) (n int64, quality backlog.Quality, ok bool) {
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
func (s *groupStep) reading(state groupState, n int64, quality backlog.Quality, now time.Time) backlog.Reading {
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
func (s *groupStep) oldest(state groupState, n int64, now time.Time) backlog.Age {
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

// An edgesStep asks what is at the ends of the stream.
type edgesStep struct {
	*groupStep
	state groupState
}

// Commands implements layout.Step.
func (s *edgesStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, resp.Command{Key: s.key, KeyType: 't', Args: []any{"XINFO", "STREAM", s.key}})
}

// Outcome implements layout.Step.
func (s *edgesStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if isNoSuchKey(replies[0].Err) {
		return layout.Done(backlog.Reading{Missing: true})
	}
	state := s.state
	if err := state.facts.addEdges(replies[0]); err != nil {
		return layout.Fail(err)
	}
	// The edges are known now, so there is an answer.
	n, quality, _ := state.facts.undelivered()
	if quality != backlog.Exact && !state.facts.lag.Known && s.scan > 0 {
		return layout.Outcome{Next: &scanStep{groupStep: s.groupStep, state: state, atMost: n}}
	}
	s.verified = verifiedLag{}
	if f := s.state.facts; f.lag.Known && f.length == state.facts.length {
		s.verified = verifiedLag{
			length: f.length, lag: f.lag.N, lastDelivered: f.lastDelivered, entriesRead: f.entriesRead,
			n: n, quality: quality, known: true,
		}
	}
	return layout.Done(s.reading(state, n, quality, now))
}

// A scanStep counts undelivered entries by reading them.
type scanStep struct {
	*groupStep
	state  groupState
	atMost int64
}

// Commands implements layout.Step.
func (s *scanStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	after := s.state.facts.lastDelivered.next().String()
	return append(dst, resp.Command{Key: s.key, KeyType: 't', Args: []any{"XRANGE", s.key, after, "+", "COUNT", s.scan}})
}

// Outcome implements layout.Step.
func (s *scanStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	entries, err := replies[0].List()
	if err != nil {
		if errors.Is(resp.Reason(err), backlog.ErrDenied) {
			r := s.reading(s.state, s.atMost, backlog.UpperBound, now)
			r.AddWarning("the server does not allow XRANGE, so scan has no effect and this is an upper bound")
			return layout.Done(r)
		}
		return layout.Fail(err)
	}
	n, quality := int64(len(entries)), backlog.Exact
	if n >= s.scan {
		quality = backlog.Capped
	}
	return layout.Done(s.reading(s.state, n, quality, now))
}
