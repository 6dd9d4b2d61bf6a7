package schedule_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// TestRefresh: a state is kept while it holds, and a bound of two equal windows is that of the first by
// name, whatever their order.
func TestRefresh(t *testing.T) {
	t.Parallel()
	window := func(name string) schedule.Spec {
		return schedule.Spec{Name: name, Start: "0 9 * * *", Duration: time.Hour, TimeZone: "UTC", Floor: new(int32(4))}
	}
	for _, specs := range [][]schedule.Spec{{window("a"), window("b")}, {window("b"), window("a")}} {
		s, err := schedule.Parse(specs)
		if err != nil {
			t.Fatal(err)
		}
		nine := time.Date(2026, time.March, 3, 9, 0, 0, 0, time.UTC)
		open := s.At(nine)
		if open.Floor.Window != "a" || open.Floor.Replicas != 4 {
			t.Errorf("the floor is %+v, want that of window a", open.Floor)
		}
		kept := s.Refresh(open, nine.Add(30*time.Minute))
		if !kept.Until.Equal(open.Until) || len(kept.Open) != 2 {
			t.Errorf("half an hour later the state is %+v, want the same", kept)
		}
		if closed := s.Refresh(kept, nine.Add(time.Hour)); len(closed.Open) != 0 {
			t.Errorf("windows %v are open after their end", closed.Open)
		}
		if before := s.Refresh(kept, nine.Add(-time.Minute)); len(before.Open) != 0 {
			t.Errorf("windows %v are open before they open, when the clock is set back", before.Open)
		}
	}
}
