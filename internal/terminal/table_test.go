package terminal_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/terminal"
)

func TestAlign(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"NAME", "VALUE", "STATE"}, {"möhre", "1", "active, held"}, {"a", "1000000", "-"}}
	want := []string{
		"NAME     VALUE  STATE",
		"möhre        1  active, held",
		"a      1000000  -",
	}
	if diff := cmp.Diff(want, terminal.Align(rows, terminal.Left, terminal.Right, terminal.Free)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		width int
		want  string
	}{
		"short":           {"größe", 5, "größe"},
		"long":            {"größer", 5, "größ…"},
		"one column":      {"größer", 1, "…"},
		"no room at all":  {"größer", 0, "…"},
		"nothing to show": {"", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := terminal.Truncate(test.text, test.width); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
