package redis

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// TestChangeWhileRead: a plan whose change is heard of while it is read is not armed,
// and the reading says why. A read that cannot arm says nothing of changes.
func TestChangeWhileRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		heard, arms    bool
		still, changed bool
	}{
		"nothing heard":              {arms: true, still: true},
		"a change is heard":          {heard: true, arms: true, changed: true},
		"it cannot be armed":         {},
		"heard, but cannot be armed": {heard: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTracker(wakes.New())
			p := &plan{}
			w.byKey["jobs"] = []*plan{p}
			p.arm()
			if c.heard {
				if woken, _ := w.changed([]string{"jobs"}, time.Now()); len(woken) != 1 {
					t.Fatalf("%d queries are woken, want 1", len(woken))
				}
			}
			if still, changed := p.stillArmed(c.arms); still != c.still || changed != c.changed {
				t.Errorf("armed %t and changed %t, want %t and %t", still, changed, c.still, c.changed)
			}
		})
	}
}
