package layouttest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A KeysCase is a queue as it lies in Redis, and what it reads as.
type KeysCase struct {
	// Keys are commands; each word is an argument; PAST and FUTURE are moments.
	Keys []string
	// Query is what is read; that of the table if it is zero.
	Query backlog.Query
	// Rules are the rights of the scaler's user; all if there are none.
	Rules string
	Want  Figures
	// Orphaned and missing are those of the reading.
	Orphaned int64
	Missing  bool
	// Warning and hint are words that the reading has there; without any there is none.
	Warning, Hint []string
}

// ReadKeys reads the queues of a table, each on a server of its own.
func ReadKeys(t *testing.T, q backlog.Query, table map[string]KeysCase) {
	t.Helper()
	now := time.Now()
	moments := strings.NewReplacer(
		"PAST", unix(now.Add(-time.Hour)), "RECENT", unix(now.Add(-time.Minute)), "FUTURE", unix(now.Add(time.Hour)),
		`\x06\x16`, "\x06\x16",
	)
	for name, row := range table {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, key := range row.Keys {
				var args []any
				for word := range strings.FieldsSeq(key) {
					args = append(args, moments.Replace(word))
				}
				server.Do(args...)
			}
			var more map[string]any
			if row.Rules != "" {
				more = User(redistest.Version{Name: "redis-7"}, server, row.Rules)
			}
			query := q
			if row.Query.Layout != "" {
				query = row.Query
			}
			r := row.await(t, OpenServer(t, server, more), query)
			if diff := cmp.Diff(row.Want, FiguresOf(r)); diff != "" || r.Orphaned != row.Orphaned || r.Missing != row.Missing {
				t.Errorf("it reads as %+v:\n%s", r, diff)
			}
			contains(t, "warning", r.Warning, row.Warning)
			contains(t, "hint", r.Hint, row.Hint)
		})
	}
}

// unix returns a moment as frameworks write it into a score.
func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// await reads a queue; if a hint is wanted, until it is there: keys are searched in the
// background.
func (row KeysCase) await(t *testing.T, source backlog.Source, q backlog.Query) (r backlog.Reading) {
	t.Helper()
	r = backlogtest.MustRead(t, source, q)
	if len(row.Hint) > 0 {
		redistest.Eventually(t, "there is a hint", func() bool {
			r = backlogtest.MustRead(t, source, q)
			return strings.Contains(r.Hint, row.Hint[0])
		})
	}
	return r
}

func contains(t *testing.T, what, got string, words []string) {
	t.Helper()
	if len(words) == 0 && got != "" {
		t.Errorf("the %s is %q, want none", what, got)
	}
	for _, word := range words {
		if !strings.Contains(got, word) {
			t.Errorf("the %s %q does not contain %q", what, got, word)
		}
	}
}
