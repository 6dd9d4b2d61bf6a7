package native

import (
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A groupState is what is known of one consumer group.
type groupState struct {
	facts              groupFacts
	pending, consumers int64
	// oldestPending is zero if nothing is pending or if it is not known.
	oldestPending streamID
	// idle is how many entries are left out of pending, because no consumer has touched them
	// for too long; moreIdle says that there may be more of them. idleRefused is why the
	// server does not report them; "" if it does.
	idle        int64
	moreIdle    bool
	idleRefused string
}

// findGroup reads the row of the group with the given name in a reply of XINFO GROUPS.
func findGroup(rows []any, name string) (state groupState, found bool, err error) {
	for _, row := range rows {
		m, err := resp.Fields(row)
		if err != nil {
			return groupState{}, false, err
		}
		if resp.Text(m["name"]) == name {
			state, err = newGroupState(m)
			return state, err == nil, err
		}
	}
	return groupState{}, false, nil
}

func newGroupState(m map[string]any) (groupState, error) {
	var state groupState
	var err error
	if state.pending, err = resp.Number(m, "pending"); err != nil {
		return state, err
	}
	if state.consumers, err = resp.Number(m, "consumers"); err != nil {
		return state, err
	}
	if state.facts.lastDelivered, err = parseStreamID(m["last-delivered-id"]); err != nil {
		return state, err
	}
	// Both are absent before Redis 7.0 and null where the server does not know them.
	if state.facts.lag, err = optionalNumber(m, "lag"); err != nil {
		return state, err
	}
	state.facts.entriesRead, err = optionalNumber(m, "entries-read")
	return state, err
}

// addEdges adds what XINFO STREAM reports.
func (f *groupFacts) addEdges(r resp.Reply) error {
	if r.Err != nil {
		return r.Err
	}
	m, err := resp.Fields(r.Value)
	if err != nil {
		return err
	}
	if f.length, err = resp.Number(m, "length"); err != nil {
		return err
	}
	if f.entriesAdded, err = optionalNumber(m, "entries-added"); err != nil {
		return err
	}
	if f.length > 0 {
		if f.first, err = entryID(m["first-entry"]); err != nil {
			return err
		}
		if f.last, err = entryID(m["last-entry"]); err != nil {
			return err
		}
	}
	f.edges = true
	return nil
}

// entryID returns the id of an entry, which is an array of the id and the payload.
func entryID(value any) (streamID, error) {
	entry, ok := value.([]any)
	if !ok || len(entry) == 0 {
		return streamID{}, fmt.Errorf("%w: %T where an entry belongs", resp.ErrReply, value)
	}
	return parseStreamID(entry[0])
}

// oldestPending returns the lowest id in a reply of XPENDING; zero if it is not known,
// for only an age depends on it.
func oldestPending(r resp.Reply) streamID {
	list, err := r.List()
	if err != nil || len(list) < 2 {
		return streamID{}
	}
	id, err := parseStreamID(list[1])
	if err != nil {
		return streamID{}
	}
	return id
}

// optionalNumber returns a field that may be absent or null. A negative number is not
// a number: kvrocks is known to underflow its lag.
func optionalNumber(m map[string]any, name string) (backlog.Count, error) {
	value, found := m[name]
	if !found || value == nil {
		return backlog.Count{}, nil
	}
	n, ok := value.(int64)
	if !ok {
		return backlog.Count{}, fmt.Errorf("%w: field %q is %v where a number belongs", resp.ErrReply, name, value)
	}
	if n < 0 {
		return backlog.Count{}, nil
	}
	return backlog.Exactly(n), nil
}

// isNoSuchKey reports whether err is what XINFO answers for a key that does not exist.
func isNoSuchKey(err error) bool {
	return resp.IsServerError(err) && strings.HasPrefix(err.Error(), "ERR no such key")
}
