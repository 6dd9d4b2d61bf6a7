package journal

import (
	"io"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSince(t *testing.T) {
	t.Parallel()
	j := New()
	j.Add("a", "one")
	j.Add("b", "two")
	entries, next := j.Since(0)
	if diff := cmp.Diff([]string{"a: one", "b: two"}, texts(entries)); diff != "" {
		t.Errorf("first entries (-want +got):\n%s", diff)
	}
	j.Add("a", "three")
	entries, next = j.Since(next)
	if diff := cmp.Diff([]string{"a: three"}, texts(entries)); diff != "" {
		t.Errorf("further entries (-want +got):\n%s", diff)
	}
	if entries, _ = j.Since(next); len(entries) != 0 {
		t.Errorf("there are %v, want none", texts(entries))
	}
}

func TestForgets(t *testing.T) {
	t.Parallel()
	j := New()
	for i := range maxEntries + 3 {
		j.Add("a", strconv.Itoa(i))
	}
	entries, next := j.Since(0)
	if len(entries) != maxEntries || entries[0].Text != "3" || next != maxEntries+3 {
		t.Errorf("%d entries from %q on, next %d; want %d from %q on, next %d",
			len(entries), entries[0].Text, next, maxEntries, "3", maxEntries+3)
	}
	if diff := cmp.Diff([]string{"a: 1001", "a: 1002"}, texts(j.Last(2))); diff != "" {
		t.Errorf("last entries (-want +got):\n%s", diff)
	}
}

func TestWriter(t *testing.T) {
	t.Parallel()
	j := New()
	if _, err := io.WriteString(j.Writer("scaler"), "a line\n"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"scaler: a line"}, texts(j.Last(5))); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func texts(entries []Entry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Subject+": "+e.Text)
	}
	return all
}
