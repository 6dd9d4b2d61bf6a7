package backlog_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestAllowsQueue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		limit []string
		queue string
		want  bool
	}{
		{"no limit", nil, "anything", true},
		{"the namespace's own", []string{"{namespace}-*"}, "shop-orders", true},
		{"another namespace's", []string{"{namespace}-*"}, "bank-orders", false},
		{"a longer name of another namespace", []string{"{namespace}-*"}, "shopping-orders", false},
		{"the prefix alone", []string{"{namespace}-*"}, "shop", false},
		{"a pattern within", []string{"{namespace}-*"}, "shop-*", true},
		{"a narrower pattern", []string{"{namespace}-*"}, "shop-a?c*", true},
		{"everything", []string{"{namespace}-*"}, "*", false},
		{"a wider pattern", []string{"{namespace}-*"}, "shop*", false},
		{"an escaped star is a letter", []string{"{namespace}-*"}, `shop-\*`, true},
		{"an escaped star of the limit", []string{`{namespace}\**`}, "shop*", false},
		{"an escaped star on both sides", []string{`{namespace}\**`}, `shop\*a`, true},
		{"a question mark is one letter", []string{"{namespace}-?"}, "shop-ab", false},
		{"a question mark within", []string{"{namespace}-?"}, "shop-?", true},
		{"a star is not one letter", []string{"{namespace}-?"}, "shop-*", false},
		{"the end", []string{"*-{namespace}"}, "orders-shop", true},
		{"a pattern with the end", []string{"*-{namespace}"}, "or*-shop", true},
		{"a pattern without the end", []string{"*-{namespace}"}, "orders-*", false},
		{"any of several", []string{"shared", "{namespace}-*"}, "shared", true},
		{"none of several", []string{"shared", "{namespace}-*"}, "secret", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			connection := backlog.Connection{Queues: c.limit}
			if got := connection.AllowsQueue("shop", c.queue); got != c.want {
				t.Errorf("limit %q allows %q: %v, want %v", c.limit, c.queue, got, c.want)
			}
		})
	}
}

// TestAllowsQueueIsSound: whatever an allowed pattern matches is allowed by itself.
func TestAllowsQueueIsSound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune(`ab*?\`)), 0, 6, -1)
		// A single backslash at the end is refused where names are parsed.
		valid := func(s string) bool { _, err := backlog.ParseQueues(s); return err == nil && s != "" }
		limit := text.Filter(valid).Draw(t, "limit")
		pattern := text.Filter(valid).Draw(t, "pattern")
		queue := rapid.StringOfN(rapid.SampledFrom([]rune(`ab*?`)), 0, 8, -1).Draw(t, "queue")
		connection := backlog.Connection{Queues: []string{limit}}
		if connection.AllowsQueue("shop", pattern) && backlog.Match(pattern, queue) && !backlog.Match(limit, queue) {
			t.Fatalf("limit %q allows the pattern %q, which matches %q outside of it", limit, pattern, queue)
		}
		if got, want := connection.AllowsQueue("shop", backlog.Escape(queue)), backlog.Match(limit, queue); got != want {
			t.Fatalf("limit %q allows the queue %q: %v, want %v", limit, queue, got, want)
		}
	})
}

// TestEscape: an escaped queue is no pattern and means itself.
func TestEscape(t *testing.T) {
	t.Parallel()
	for _, queue := range []string{"a", `a\b`, "a*", "a?", "a,b", strings.Repeat(`\`, 3)} {
		escaped := backlog.Escape(queue)
		names, err := backlog.ParseQueues(escaped)
		if err != nil || len(names) != 1 || backlog.IsPattern(names[0]) || backlog.Unescape(names[0]) != queue {
			t.Errorf("%q becomes %q, which is %q, %v", queue, escaped, names, err)
		}
	}
}
