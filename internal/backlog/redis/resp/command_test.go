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

// TestUndivided: all commands are sent in their order, as many at once as are asked for, and no
// transaction is divided.
func TestUndivided(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, 8).Draw(t, "length")
		var commands []Command
		longest := 1
		for n, size := range rapid.SliceOfN(rapid.IntRange(1, 12), 0, 6).Draw(t, "sizes") {
			transaction := 0
			if rapid.Bool().Draw(t, "transaction") {
				transaction, longest = n+1, max(longest, size)
			}
			for range size {
				commands = append(commands, Command{Transaction: transaction})
			}
		}
		for len(commands) > 0 {
			n := Undivided(commands, length)
			if n < 1 || n > len(commands) || n > max(length, longest) {
				t.Fatalf("%d of %d commands at once, want at most %d", n, len(commands), max(length, longest))
			}
			if n < len(commands) && commands[n].Transaction != 0 && commands[n].Transaction == commands[n-1].Transaction {
				t.Fatalf("a transaction is divided after %d commands", n)
			}
			commands = commands[n:]
		}
	})
}
