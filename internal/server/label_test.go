package server

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestLabelsAreBoundedAndUnique: the value of a label is short and can be read, and names
// that differ have values that differ, also those that were made to look alike.
func TestLabelsAreBoundedAndUnique(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 150)
	names := []string{
		"", "jobs", "очередь", "a\nb", `a\nb`, "\xff", `\xff`, "\xfe", long, long + "a", long + "b", strings.Repeat("a", 200), strings.Repeat("a", 201),
		"\u202e", "a\x00", otherQueues, "[from listFromEnv]",
	}
	for _, name := range names {
		names = append(names, label(name), label(label(name)))
	}
	values := map[string]string{}
	for _, name := range names {
		value := label(name)
		if before, twice := values[value]; twice && before != name {
			t.Errorf("%q and %q are both %q", before, name, value)
		}
		values[value] = name
		if len(value) > maxLabel || !utf8.ValidString(value) || backlog.Line(value) != value {
			t.Errorf("%q becomes %q", name, value)
		}
	}
	for _, plain := range []string{"", "jobs", "очередь", strings.Repeat("a", 200)} {
		if label(plain) != plain {
			t.Errorf("%q becomes %q", plain, label(plain))
		}
	}
}

// TestPartsHaveLabelsOfTheirOwn: a queue of the name that stands for the others of a
// trigger has a label of its own.
func TestPartsHaveLabelsOfTheirOwn(t *testing.T) {
	t.Parallel()
	parts := []backlog.Part{{Queue: otherQueues}}
	for i := range 2 * maxParts {
		parts = append(parts, backlog.Part{Queue: strconv.Itoa(i)})
	}
	live := newLiveTrigger(nil, nil, trigger.Trigger{Query: backlog.Query{Layout: "list", Queue: "*"}})
	seen := map[string]bool{}
	for _, part := range queues(live, backlog.Reading{Parts: parts}, maxParts) {
		if seen[part.Queue] {
			t.Errorf("%q is there twice", part.Queue)
		}
		seen[part.Queue] = true
	}
	if len(seen) != maxParts+1 || !seen[otherQueues] {
		t.Errorf("%d labels", len(seen))
	}
}
