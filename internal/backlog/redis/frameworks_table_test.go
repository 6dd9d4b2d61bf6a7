package redis_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// TestTableOfFrameworks: a cell without proof, and a proof where none is to be had, are
// faults; a proof of one version of several says so.
func TestTableOfFrameworks(t *testing.T) {
	t.Parallel()
	const bullmqPaused = 7 // the cell in its row
	of := func(layout, version string, c layouttest.Column, note string) proof {
		return proof{Proof: layouttest.Proof{Layout: layout, Version: version, Column: c, Note: note}, test: "TestTableOfFrameworks", folder: "internal/backlog/redis"}
	}
	for name, c := range map[string]struct {
		change func(map[proof]bool)
		fault  string // what the error names; "" if there is none
		// paused is how that cell of BullMQ ends; versions are those tried, 1.9 if empty.
		paused, versions string
	}{
		"complete": {change: func(map[proof]bool) {}, paused: ")"},
		"a cell without proof": {
			change: func(all map[proof]bool) { delete(all, of("rq", "1.9", layouttest.Due, "")) },
			fault:  "RQ, due",
		},
		"a proof too many": {
			change: func(all map[proof]bool) { all[of("celery", "1.9", layouttest.Due, "")] = true },
			fault:  "Celery, due",
		},
		"one version of two": {
			change: func(all map[proof]bool) { all[of("bullmq", "1.10", layouttest.Due, "")] = true },
			paused: ") (1.9)", versions: "1.9, 1.10",
		},
		"some jobs and all": {
			change: func(all map[proof]bool) {
				all[of("bullmq", "1.9", layouttest.Paused, "some")] = true
			},
			paused: ")",
		},
		"some jobs": {
			change: func(all map[proof]bool) {
				delete(all, of("bullmq", "1.9", layouttest.Paused, ""))
				all[of("bullmq", "1.9", layouttest.Paused, "some")] = true
			},
			paused: ") (some)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{proofs: map[proof]bool{}}
			for _, f := range provenFrameworks() {
				for _, column := range columns() {
					if _, without := f.without[column]; !without {
						l.proofs[of(f.layout, "1.9", column, "")] = true
					}
				}
			}
			c.change(l.proofs)
			rows, err := l.table()
			if (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Fatalf("the error is %v, want one about %q", err, c.fault)
			}
			if err != nil {
				return
			}
			row := rows[slices.IndexFunc(rows, func(row []string) bool { return strings.HasPrefix(row[0], "[BullMQ]") })]
			const link = "[`TestTableOfFrameworks`](../internal/backlog/redis/frameworks_table_test.go"
			if want := cmp.Or(c.versions, "1.9"); row[1] != want {
				t.Errorf("tried were %q, want %q", row[1], want)
			}
			if got := row[bullmqPaused]; got != link+c.paused {
				t.Errorf("the cell is %q, want %q", got, link+c.paused)
			}
		})
	}
}
