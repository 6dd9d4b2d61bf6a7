package layouttest

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// An OrphansCase is work that nothing moves, next to as much that something does: how it
// reads at first, after the grace, after orphanedAfter, and when it is mended.
type OrphansCase struct {
	Params map[string]string
	// Orphan are commands that make one orphaned message and one that is not, and Mend those
	// after which neither is.
	Orphan, Mend []string
	Grace        time.Duration
	Warning      string
}

// OrphansInTime checks that work which nothing moves counts, with a warning once it has
// lasted, and stops counting after orphanedAfter; what is not orphaned continues to count.
func OrphansInTime(t *testing.T, l layout.Layout, cases map[string]OrphansCase) {
	t.Helper()
	for name, row := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			now := time.Now()
			runAt(server, row.Orphan, now)
			unbounded := NewStepper(t, server, l, "mail", row.Params)
			params := map[string]string{layout.OrphanedAfter: "1h"}
			maps.Copy(params, row.Params)
			bounded := NewStepper(t, server, l, "mail", params)

			for _, s := range []*Stepper{unbounded, bounded} {
				if r := s.At(now); r.Backlog() != 2 || r.Orphaned != 0 || r.Warning != "" {
					t.Errorf("at first it reads as %+v", r)
				}
				r := s.At(now.Add(row.Grace))
				if r.Backlog() != 2 || r.Orphaned != 1 || r.Quality != backlog.UpperBound || !strings.Contains(r.Warning, row.Warning) {
					t.Errorf("after %s it reads as %+v", row.Grace, r)
				}
			}
			if r := unbounded.At(now.Add(2 * time.Hour)); r.Backlog() != 2 || !strings.Contains(r.Warning, "set orphanedAfter") {
				t.Errorf("without a bound it reads after two hours as %+v", r)
			}
			r := bounded.At(now.Add(2 * time.Hour))
			if r.Backlog() != 1 || r.Orphaned != 0 || r.Ignored != 1 || !strings.Contains(r.Warning, row.Warning) {
				t.Errorf("after the bound it reads as %+v", r)
			}
			runAt(server, row.Mend, now)
			for _, s := range []*Stepper{unbounded, bounded} {
				if r := s.At(now.Add(3 * time.Hour)); r.Backlog() != 2 || r.Orphaned+r.Ignored != 0 || r.Warning != "" {
					t.Errorf("when it is mended it reads as %+v", r)
				}
			}
		})
	}
}

// A StuckCase is a queue whose work nothing moves.
type StuckCase struct {
	Grace time.Duration
	// Stick makes it, and Move makes something that moves it appear.
	Stick, Move [][]any
	// Stuck is what of it counts, and Moved what counts when something moves it.
	Stuck, Moved StuckFigures
	Warning      string
}

// StuckFigures are those of a reading that stuck work may change.
type StuckFigures struct{ Ready, Due, InFlight, Orphaned, Ignored int64 }

func stuckFiguresOf(r backlog.Reading) StuckFigures {
	return StuckFigures{r.Ready, r.Due, r.InFlight.N, r.Orphaned, r.Ignored}
}

// ignored returns the figures once orphanedAfter has passed. What is ignored is of one kind
// in each case.
func (f StuckFigures) ignored() StuckFigures {
	n := f.Orphaned
	f.Orphaned, f.Ignored = 0, n
	switch {
	case f.Due > 0:
		f.Due -= n
	case f.Ready > 0:
		f.Ready -= n
	default:
		f.InFlight -= n
	}
	return f
}

// StuckWork checks that work which nothing moves is not exact once that has lasted, and that
// a warning says so; that it stops counting when orphanedAfter has passed, and counts again
// when something moves it.
func StuckWork(t *testing.T, l layout.Layout, cases map[string]StuckCase) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			for _, command := range c.Stick {
				server.Do(command...)
			}
			const after = 10 * time.Minute
			forever := NewStepper(t, server, l, "q", nil)
			bounded := NewStepper(t, server, l, "q", map[string]string{layout.OrphanedAfter: after.String()})
			fresh := c.Stuck
			fresh.Orphaned = 0
			began := time.Now()
			for _, read := range []struct {
				*Stepper
				after   time.Duration
				want    StuckFigures
				quality backlog.Quality
				warning string
			}{
				{forever, 0, fresh, backlog.Exact, ""},
				{bounded, 0, fresh, backlog.Exact, ""},
				{forever, c.Grace - 1, fresh, backlog.Exact, ""},
				{forever, c.Grace, c.Stuck, backlog.UpperBound, c.Warning},
				{bounded, c.Grace, c.Stuck, backlog.UpperBound, c.Warning},
				{forever, 100 * after, c.Stuck, backlog.UpperBound, "set orphanedAfter"},
				{bounded, after, c.Stuck.ignored(), backlog.Exact, c.Warning},
			} {
				r := read.At(began.Add(read.after))
				if diff := cmp.Diff(read.want, stuckFiguresOf(r)); diff != "" || r.Quality != read.quality {
					t.Errorf("after %s (-want +got):\n%s\n%+v", read.after, diff, r)
				}
				if !strings.Contains(r.Warning, read.warning) || read.warning == "" && r.Warning != "" || r.Missing {
					t.Errorf("after %s: %+v, want the warning %q", read.after, r, read.warning)
				}
			}
			for _, command := range c.Move {
				server.Do(command...)
			}
			for _, s := range []*Stepper{forever, bounded} {
				r := s.At(began.Add(101 * after))
				if diff := cmp.Diff(c.Moved, stuckFiguresOf(r)); diff != "" || r.Quality != backlog.Exact || r.Warning != "" {
					t.Errorf("moved (-want +got):\n%s\n%+v", diff, r)
				}
			}
		})
	}
}
