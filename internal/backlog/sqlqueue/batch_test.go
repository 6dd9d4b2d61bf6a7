package sqlqueue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// plain is a layout with all counts.
func plain() Layout {
	return Layout{Counts: func(backlog.Params) Counts {
		return Counts{Ready: "FROM t WHERE q = {queue}", InFlight: "FROM u WHERE q = {queue}", Notifies: "true"}
	}}
}

// row returns the values of a row, in which a text replaces the value of a column.
func row(changed map[int]string) []Value {
	values := []Value{Value("0"), Value("t"), Value("3"), Value("1"), Value("2"), Value("60.5"), nil, Value("f"), Value("t"), Value("250"), nil, nil}
	for column, text := range changed {
		values[column] = Value(text)
		if text == "NULL" {
			values[column] = nil
		}
	}
	return values
}

func TestRows(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := asked.Add(time.Second)
	for name, one := range map[string]struct {
		changed map[int]string
		err     error
		holds   func(Row) bool
	}{
		"a row": {holds: func(r Row) bool {
			x := r.Reading
			return x.Ready == 3 && x.Due == 1 && x.InFlight == backlog.Exactly(2) && !x.Missing && x.Quality == backlog.Exact &&
				x.Oldest == backlog.Age{Since: at.Add(-60500 * time.Millisecond), Kind: backlog.AgeExact} && r.Notifies && r.Quiet == 250*time.Millisecond
		}},
		"missing":          {changed: map[int]string{columnExists: "0"}, holds: func(r Row) bool { return r.Reading.Missing }},
		"capped":           {changed: map[int]string{columnReady: "10"}, holds: func(r Row) bool { return r.Reading.Quality == backlog.Capped }},
		"due later":        {changed: map[int]string{columnNext: "30"}, holds: func(r Row) bool { return r.Reading.NextDue.Equal(asked.Add(30 * time.Second)) }},
		"due meanwhile":    {changed: map[int]string{columnNext: "0.1"}, holds: func(r Row) bool { return r.Reading.NextDue.Equal(at) }},
		"in the future":    {changed: map[int]string{columnOldest: "-5"}, holds: func(r Row) bool { return r.Reading.Oldest.Since.Equal(at) }},
		"null":             {changed: map[int]string{columnReady: "NULL"}, err: backlog.ErrMismatch},
		"negative":         {changed: map[int]string{columnReady: "-1"}, err: backlog.ErrMismatch},
		"no number":        {changed: map[int]string{columnDue: "many"}, err: backlog.ErrMismatch},
		"unknown":          {changed: map[int]string{columnInFlight: "NULL"}, err: backlog.ErrMismatch},
		"no truth":         {changed: map[int]string{columnPaused: "NULL"}, err: backlog.ErrMismatch},
		"not a number":     {changed: map[int]string{columnOldest: "NaN"}, err: backlog.ErrMismatch},
		"too far":          {changed: map[int]string{columnNext: "Infinity"}, holds: func(r Row) bool { return r.Reading.NextDue.After(at) }},
		"silent database":  {changed: map[int]string{columnNotifies: "f"}, holds: func(r Row) bool { return r.NotifiesKnown && !r.Notifies }},
		"endless pause":    {changed: map[int]string{columnQuiet: "9999999999"}, holds: func(r Row) bool { return r.Quiet == time.Hour }},
		"counted sequence": {changed: map[int]string{columnEnqueued: "7"}, holds: func(r Row) bool { return r.Reading.Enqueued == backlog.Exactly(7) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := NewBatch(plain(), "", 10)
			b.Add("q")
			if err := b.TakeRow(row(one.changed), asked, at); err != nil {
				t.Fatal(err)
			}
			r, err := b.Row("q", at)
			if !errors.Is(err, one.err) || one.err == nil && (err != nil || !one.holds(r)) {
				t.Errorf("%+v, %v, want %v", r, err, one.err)
			}
		})
	}
}

// TestBatch: each queue is asked for once, and what is not answered is partial.
func TestBatch(t *testing.T) {
	t.Parallel()
	b := NewBatch(plain(), "", 10)
	for _, name := range []string{"a", "b", "a"} {
		b.Add(name)
	}
	text, args := b.Union()
	if strings.Count(text, "UNION ALL") != 1 || strings.Count(text, "?") != len(args) || len(args) != 4 || strings.Contains(text, "{") {
		t.Errorf("%s\n%v", text, args)
	}
	if text := b.OverArray(); strings.Contains(text, "{") || !strings.Contains(text, "LIMIT 10") {
		t.Errorf("%s", text)
	}
	now := time.Now()
	if err := b.TakeRow(row(map[int]string{columnIndex: "2"}), now, now); !errors.Is(err, backlog.ErrMismatch) {
		t.Errorf("a queue that was not asked for: %v, want ErrMismatch", err)
	}
	if err := b.TakeRow(row(nil)[1:], now, now); err != nil {
		t.Errorf("a short row: %v", err)
	}
	if _, err := b.Row("b", now); !errors.Is(err, backlog.ErrPartial) {
		t.Errorf("a queue without an answer: %v, want ErrPartial", err)
	}
	if _, err := b.Row("c", now); err == nil {
		t.Error("a queue that was not asked for has a reading")
	}
}

// TestDeniedTable: a table that may not be read is denied, never a queue that is missing.
func TestDeniedTable(t *testing.T) {
	t.Parallel()
	l := plain()
	l.Tables, l.Variants = func(backlog.Params) string { return "" }, []string{"0"}
	b := NewBatch(l, "", 10)
	for _, name := range []string{"denied", "missing"} {
		b.Add(name)
	}
	if err := b.TakeTable([]Value{Value("0"), Value("pgmq.q_denied"), nil}); err != nil {
		t.Fatal(err)
	}
	if text := b.OverTables(); text != "" {
		t.Errorf("%s, want no statement", text)
	}
	if _, err := b.Row("denied", time.Now()); !errors.Is(err, backlog.ErrDenied) || !strings.Contains(err.Error(), "pgmq.q_denied") {
		t.Errorf("%v, want ErrDenied of pgmq.q_denied", err)
	}
	if row, err := b.Row("missing", time.Now()); err != nil || !row.Reading.Missing {
		t.Errorf("%+v, %v, want Missing", row, err)
	}
}

// TestPace: the result of a slow query holds for nine times as long as it took. A single slow run may have been
// an outage of the server.
func TestPace(t *testing.T) {
	t.Parallel()
	var p Pace
	q := backlog.Query{Queue: "slow"}
	now := time.Now()
	run := func(ready int64, took time.Duration) {
		now = now.Add(took)
		p.Note(q, backlog.Reading{Ready: ready}, nil, took, now)
	}
	holds := func(after time.Duration) (ready int64, holds bool) {
		at := now.Add(after)
		p.Sweep(at)
		r, err, holds := p.Held(q, at)
		if err != nil {
			t.Error(err)
		}
		return r.Ready, holds
	}
	for _, step := range []struct {
		took  time.Duration
		holds time.Duration
	}{
		{time.Millisecond, 0}, {2 * time.Second, 0}, {time.Millisecond, 0}, // an outage
		{time.Second, 0}, {2 * time.Second, 9 * time.Second}, {time.Second, 9 * time.Second}, // slow
		{time.Millisecond, 0}, {time.Second, 0}, // and not any more
	} {
		run(7, step.took)
		if _, is := holds(step.holds); is {
			t.Errorf("a result after %s holds for more than %s", step.took, step.holds)
		}
		if ready, is := holds(step.holds - time.Millisecond); step.holds > 0 && (!is || ready != 7) {
			t.Errorf("a result after %s is %d, and holds: %t, want 7 for %s", step.took, ready, is, step.holds)
		}
	}
	p.Sweep(now.Add(time.Hour))
	if len(p.slow) != 0 {
		t.Errorf("%d queries are remembered", len(p.slow))
	}
}
