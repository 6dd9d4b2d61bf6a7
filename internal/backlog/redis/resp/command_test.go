package resp

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestAppendText: two commands have the same text if, and only if, their arguments are equal.
func TestAppendText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		arg := rapid.OneOf(
			rapid.Map(rapid.SampledFrom([]string{"", "1", "1:", "#1;", "GET", "3:GET", ":"}), func(s string) any { return s }),
			rapid.Map(rapid.IntRange(-1, 12), func(n int) any { return n }),
			rapid.Map(rapid.Int64Range(-1, 2), func(n int64) any { return n }),
			rapid.Map(rapid.SampledFrom([]float64{0, 1, 0.5}), func(f float64) any { return f }),
		)
		one, other := rapid.SliceOfN(arg, 0, 3).Draw(t, "one"), rapid.SliceOfN(arg, 0, 3).Draw(t, "other")
		same := bytes.Equal(Command{Args: one}.AppendText(nil), Command{Args: other}.AppendText(nil))
		if same != reflect.DeepEqual(one, other) {
			t.Errorf("%#v and %#v have the same text: %t", one, other, same)
		}
	})
}
