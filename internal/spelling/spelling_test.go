package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{strings.Repeat("target", 17), "connection", "consumerGroup", "target", "activation", "list", "hash"}
	for _, tc := range []struct{ name, word, want string }{
		{"one letter too many", "consumerGroupp", "consumerGroup"},
		{"wrong case", "Target", "target"},
		{"two letters swapped", "tagret", "target"},
		{"one letter missing", "conection", "connection"},
		{"short word, one slip", "lisst", "list"},
		{"nothing near", "queueLength", ""},
		{"empty", "", ""},
		{"too long to be compared", strings.Repeat("target", 17), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Nearest(tc.word, known); got != tc.want {
				t.Errorf("Nearest(%q) = %q, want %q", tc.word, got, tc.want)
			}
		})
	}
}
