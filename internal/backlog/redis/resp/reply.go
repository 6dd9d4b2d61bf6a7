package resp

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Reply answers a command.
type Reply struct {
	// Value is a string, an int64, a []any of such values, or nil.
	Value any
	// Err is nil, ErrNil, or an error that the server answered with.
	Err error
	// Armed reports that the next change of the key will be noticed.
	Armed bool
	// Server is the one that answered. It never changes.
	Server *Server
}

// IsDenied reports whether the server denies the command or its key to the scaler.
func (r Reply) IsDenied() bool {
	return r.Err != nil && errors.Is(Reason(r.Err), backlog.ErrDenied)
}

// Denial returns why the server denied a command that was added in the given version.
func (r Reply) Denial(command string, since ...int) string {
	if s := r.Server; s != nil && s.Name == "redis" && s.Version != "" && !AtLeast(s.Version, since...) {
		return fmt.Sprintf("%s: %s is needed for %s", s.Title(), dotted(since), command)
	}
	return "the server does not allow " + command
}

// dotted returns a version such as "6.2".
func dotted(version []int) string {
	parts := make([]string, len(version))
	for i, part := range version {
		parts[i] = strconv.Itoa(part)
	}
	return strings.Join(parts, ".")
}

// MaxCount is the largest count that is believed: 10,000 queues of so many messages in
// each of the parts of a backlog still fit into an int64, and no server holds as many.
const MaxCount = 1 << 48

// Count returns the reply as a number from 0 to MaxCount.
func (r Reply) Count() (int64, error) {
	if r.Err != nil {
		return 0, r.Err
	}
	n, ok := r.Value.(int64)
	switch {
	case !ok:
		return 0, fmt.Errorf("%w: %T where a count belongs", ErrReply, r.Value)
	case n < 0 || n > MaxCount:
		return 0, fmt.Errorf("%w: %d where a count belongs, want a number from 0 to %d", ErrReply, n, int64(MaxCount))
	}
	return n, nil
}

// List returns the reply as an array.
func (r Reply) List() ([]any, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	list, ok := r.Value.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: %T where an array belongs", ErrReply, r.Value)
	}
	return list, nil
}

// FirstScore returns the score of the first member in a reply WITHSCORES of at most one
// member. It is not found where the array is empty.
func (r Reply) FirstScore() (value float64, found bool, err error) {
	list, err := r.List()
	if err != nil || len(list) == 0 {
		return 0, false, err
	}
	value, err = Score(list[len(list)-1])
	return value, err == nil, err
}

// Fields returns an array of alternating names and values as a map.
func Fields(value any) (map[string]any, error) {
	list, ok := value.([]any)
	if !ok || len(list)%2 != 0 {
		return nil, fmt.Errorf("%w: %T where names and values belong", ErrReply, value)
	}
	m := make(map[string]any, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		name, ok := list[i].(string)
		if !ok {
			return nil, fmt.Errorf("%w: %T where a name belongs", ErrReply, list[i])
		}
		m[name] = list[i+1]
	}
	return m, nil
}

// Number returns a field that must be a number which is not negative.
func Number(m map[string]any, name string) (int64, error) {
	n, ok := m[name].(int64)
	if !ok || n < 0 || n > MaxCount {
		return 0, fmt.Errorf("%w: field %q is %v where a count belongs", ErrReply, name, m[name])
	}
	return n, nil
}

// Text returns value if it is a text, else "".
func Text(value any) string {
	s, _ := value.(string)
	return s
}

// Score parses the score of a member of a sorted set.
func Score(value any) (float64, error) {
	f, err := strconv.ParseFloat(Text(value), 64)
	if err != nil || math.IsNaN(f) {
		return 0, fmt.Errorf("%w: %v where a score belongs", ErrReply, value)
	}
	return f, nil
}
