package redis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// refused returns why the server refused a command that came with the given version.
func (r reply) refused(command string, since ...int) string {
	if s := r.server; s != nil && s.name == "redis" && s.version != "" && !atLeast(s.version, since...) {
		return fmt.Sprintf("%s: %s is needed for %s", s.title(), dotted(since), command)
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

// maxCount is the largest count that is believed: 10,000 queues of so many messages in
// each of the parts of a backlog still fit into an int64, and no server holds as many.
const maxCount = 1 << 48

// count returns the reply as a number from 0 to maxCount.
func (r reply) count() (int64, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, ok := r.value.(int64)
	switch {
	case !ok:
		return 0, fmt.Errorf("%w: %T where a count belongs", errReply, r.value)
	case n < 0 || n > maxCount:
		return 0, fmt.Errorf("%w: %d where a count belongs, want a number from 0 to %d", errReply, n, int64(maxCount))
	}
	return n, nil
}

// list returns the reply as an array.
func (r reply) list() ([]any, error) {
	if r.err != nil {
		return nil, r.err
	}
	list, ok := r.value.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: %T where an array belongs", errReply, r.value)
	}
	return list, nil
}

// fields returns an array of alternating names and values as a map.
func fields(value any) (map[string]any, error) {
	list, ok := value.([]any)
	if !ok || len(list)%2 != 0 {
		return nil, fmt.Errorf("%w: %T where names and values belong", errReply, value)
	}
	m := make(map[string]any, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		name, ok := list[i].(string)
		if !ok {
			return nil, fmt.Errorf("%w: %T where a name belongs", errReply, list[i])
		}
		m[name] = list[i+1]
	}
	return m, nil
}

// number returns a field that must be a number which is not negative.
func number(m map[string]any, name string) (int64, error) {
	n, ok := m[name].(int64)
	if !ok || n < 0 || n > maxCount {
		return 0, fmt.Errorf("%w: field %q is %v where a count belongs", errReply, name, m[name])
	}
	return n, nil
}

// text returns value if it is a text, else "".
func text(value any) string {
	s, _ := value.(string)
	return s
}

// score parses the score of a member of a sorted set.
func score(value any) (float64, error) {
	f, err := strconv.ParseFloat(text(value), 64)
	if err != nil || math.IsNaN(f) {
		return 0, fmt.Errorf("%w: %v where a score belongs", errReply, value)
	}
	return f, nil
}
