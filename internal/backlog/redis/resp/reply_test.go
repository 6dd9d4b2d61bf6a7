package resp

import (
	"errors"
	"math"
	"testing"
)

// TestCount: a count that no server can hold is an error. Taken for a number, the sum of
// a few would be negative.
func TestCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value any
		ok    bool
	}{
		{int64(0), true},
		{int64(1 << 48), true},
		{int64(1<<48 + 1), false},
		{int64(math.MaxInt64), false},
		{int64(-1), false},
		{"7", false},
		{nil, false},
	} {
		n, err := Reply{Value: tc.value}.Count()
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrReply) || err == nil && n != tc.value {
			t.Errorf("%v reads as %d, error %v", tc.value, n, err)
		}
		if got, err := Number(map[string]any{"lag": tc.value}, "lag"); (err == nil) != tc.ok {
			t.Errorf("field %v reads as %d, error %v", tc.value, got, err)
		}
	}
}
