package jetstream

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A spec is a query, taken apart, with what is known of it from one read to the next. The goroutine that
// reads owns it.
type spec struct {
	query            backlog.Query
	stream, consumer string
	filters          []string
	used             time.Time
	// empty is since when each answer was that nothing is pending or in flight; zero if it was not.
	empty time.Time
	// counted is how many messages matched the filters when the stream was in the state at; nil if that is
	// not known.
	counted *int64
	at      streamState
}

// A streamState is what changes with each message that comes or goes.
type streamState struct {
	created               time.Time
	messages, first, last int64
}

func stateOf(s *streamInfo) streamState {
	return streamState{s.Created, *s.State.Messages, *s.State.FirstSeq, *s.State.LastSeq}
}

// newSpec returns the spec of a query. The error is a query that can never be read.
func newSpec(q backlog.Query) (*spec, error) {
	switch {
	case q.Layout != layoutStream:
		return nil, fmt.Errorf("%w: jetstream has no layout %q", backlog.ErrMismatch, backlog.Line(q.Layout))
	case q.Workers:
		return nil, fmt.Errorf("%w: the layout %s does not show which workers are busy", backlog.ErrMismatch, layoutStream)
	}
	if err := checkQuery(q); err != nil {
		return nil, fmt.Errorf("%w: %w", backlog.ErrMismatch, err)
	}
	return &spec{query: q, stream: q.Queue, consumer: q.Params.Get(paramConsumer), filters: filtersOf(q)}, nil
}

// needsCount reports whether it has to be counted how many messages of a stream match the filters.
func (s *spec) needsCount(info *streamInfo) bool {
	return len(s.filters) > 0 && *info.State.Messages > 0 && s.at != stateOf(info)
}

// matching returns how many messages of a stream match the filters, by the answers to each; nil if that
// is not known.
func (s *spec) matching(info *streamInfo, counts []*streamAnswer) *int64 {
	switch {
	case len(s.filters) == 0:
		return nil
	case *info.State.Messages == 0:
		return new(int64)
	case len(counts) == 0:
		return s.counted
	}
	answers := make([]*streamInfo, len(counts))
	for i, a := range counts {
		answers[i] = a.info
	}
	n := count(answers)
	for _, a := range answers {
		if a == nil || stateOf(a) != stateOf(info) {
			// Messages came or went in between, or a part is missing: it is counted again.
			s.counted, s.at = nil, streamState{}
			return n
		}
	}
	s.counted, s.at = n, stateOf(info)
	return n
}

// filterRequest asks for the subjects of a stream that match a filter.
func filterRequest(filter string) []byte {
	text, err := json.Marshal(map[string]string{"subjects_filter": filter})
	if err != nil {
		return nil // a text is always encoded
	}
	return text
}

// A life is what was seen of a stream: its last sequence never decreases, unless the server has lost
// messages, such as those in memory.
type life struct {
	created time.Time
	last    int64
	losses  int
	used    time.Time
}

// epoch returns the name of the unbroken life of a stream.
func (s *source) epoch(stream string, info *streamInfo, now time.Time) string {
	l := s.lives[stream]
	if l == nil || !l.created.Equal(info.Created) {
		losses := 0
		if l != nil {
			losses = l.losses
		}
		l = &life{created: info.Created, losses: losses}
		s.lives[stream] = l
	}
	if *info.State.LastSeq < l.last {
		l.losses++
	}
	l.last, l.used = *info.State.LastSeq, now
	return info.Created.UTC().Format(time.RFC3339Nano) + "#" + strconv.Itoa(l.losses)
}

// parseAccount returns why the API does not serve the account, by the answer about it.
func parseAccount(r reply) error {
	if r.err != nil {
		return r.err
	}
	var a envelope
	if err := json.Unmarshal(r.data, &a); err != nil {
		return errUnreadable(err)
	}
	if a.Error != nil {
		return errorOf(a.Error)
	}
	return nil
}
