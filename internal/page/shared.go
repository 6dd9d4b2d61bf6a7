package page

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// shared is what the streams of one scan share, so that several pages with the same rows cost little
// more than one. It is bounded by the rows of the open pages.
type shared struct {
	mu sync.Mutex
	// scan is the scan that the rest is of.
	scan  uint64
	rows  map[uint64]json.RawMessage
	lists map[string][]uint64
	// line is that of policies, if it is known.
	line *string
}

// at forgets what is of another scan. mu is held.
func (s *shared) at(scan uint64) {
	if s.scan != scan || s.rows == nil {
		s.scan, s.rows, s.lists, s.line = scan, map[uint64]json.RawMessage{}, map[string][]uint64{}, nil
	}
}

// row returns the encoded change of a row; nil if its trigger is gone.
func (s *shared) row(scan uint64, now time.Time, key uint64, from Inspector) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(scan)
	if row, known := s.rows[key]; known {
		return row
	}
	s.rows[key] = nil
	if r, history, found := from.Row(key); found {
		// Texts and numbers always have an encoding.
		s.rows[key], _ = json.Marshal(changeOf(now, &r, history))
	}
	return s.rows[key]
}

// keys returns the keys of the rows that a query selects.
func (s *shared) keys(scan uint64, q *inspector.Query, from Inspector) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(scan)
	name := address(q)
	if _, known := s.lists[name]; !known {
		s.lists[name] = from.Keys(q)
	}
	return s.lists[name]
}

// policies returns the line about policies.
func (s *shared) policies(scan uint64, of *Page) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(scan)
	if s.line == nil {
		s.line = new(of.policiesLine())
	}
	return *s.line
}

// changeOf returns the cells of a row that changed.
func changeOf(now time.Time, r *inspector.Row, history []inspector.Sample) rowChange {
	cells := cellsOf(now, *r)
	return rowChange{
		ID: rowID(r.Key), State: stateID(r.State), Spark: spark(history),
		Cells: map[string]string{
			"state": cells.State, "wants": cells.Wants, "value": cells.Value, "waiting": cells.Waiting, "inflight": cells.InFlight,
			"oldest": cells.Oldest, "why": cells.Why, "read": cells.Read, "asked": cells.Asked,
		},
	}
}
