package backlog_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestSettings: each getter returns its kind, and the zero value for what is not set or of another kind.
func TestSettings(t *testing.T) {
	t.Parallel()
	given := map[string]any{
		"text": "a", "list": []string{"b", "c"}, "integer": int64(7), "bool": true, "duration": time.Second,
		"secret": backlog.NewSecret("hunter2"), "file": backlog.File{Path: "ca.pem", Data: []byte("d")},
	}
	settings := backlog.NewSettings(given)
	given["text"] = "changed"
	for name := range given {
		for kind, is := range map[string]bool{
			"text": settings.Text(name) == "a", "list": slices.Equal(settings.List(name), []string{"b", "c"}),
			"integer": settings.Integer(name) == 7, "bool": settings.Bool(name), "duration": settings.Duration(name) == time.Second,
			"secret": settings.Secret(name).IsSet(), "file": settings.File(name).Path == "ca.pem",
		} {
			if is != (kind == name) {
				t.Errorf("the setting %s as %s: %t", name, kind, is)
			}
		}
	}
	if settings.Text("missing") != "" || settings.File("missing").Data != nil {
		t.Error("a setting that is not there has a value")
	}
}

func TestJoinFaults(t *testing.T) {
	t.Parallel()
	if err := backlog.JoinFaults(backlog.Fault{Text: "a: not present"}); err != nil {
		t.Errorf("no fault is present: %v", err)
	}
	err := backlog.JoinFaults(backlog.Fault{Present: true, Text: "a: wrong"}, backlog.Fault{Text: "b"}, backlog.Fault{Present: true, Text: "c: wrong"})
	if err == nil || err.Error() != "a: wrong\nc: wrong" {
		t.Errorf("two faults are %v", err)
	}
}

// TestSomeQueries: a layout counts finished messages and messages in flight of no query, of all, or of
// some.
func TestSomeQueries(t *testing.T) {
	t.Parallel()
	errNone := errors.New("not of this queue")
	check := func(q backlog.Query) error {
		if q.Queue == "none" {
			return errNone
		}
		return nil
	}
	some := backlog.Layout{Name: "some", Finished: "those of groups", CheckFinished: check, InFlight: "those of groups", CheckInFlight: check}
	for _, c := range []struct {
		layout  backlog.Layout
		queue   string
		counted bool
	}{
		{backlog.Layout{Name: "silent"}, "q", false},
		{backlog.Layout{Name: "all", Finished: "all", InFlight: "all"}, "q", true},
		{some, "q", true},
		{some, "none", false},
	} {
		q := backlog.Query{Queue: c.queue}
		if err := c.layout.CountsFinished(q); (err == nil) != c.counted {
			t.Errorf("%s, queue %s: finished messages: %v", c.layout.Name, c.queue, err)
		}
		if err := c.layout.CountsInFlight(q); (err == nil) != c.counted {
			t.Errorf("%s, queue %s: messages in flight: %v", c.layout.Name, c.queue, err)
		}
	}
	engine := backlog.Engine{Name: "e", Layouts: []backlog.Layout{some}}
	if _, known := engine.Layout("some"); !known {
		t.Error("the layout of an engine is not found")
	}
	if _, known := engine.Layout("other"); known {
		t.Error("a layout is found that the engine does not have")
	}
}

func TestPartlyConfirmed(t *testing.T) {
	t.Parallel()
	cause := errors.New("clients notify")
	var err error = &backlog.PartlyConfirmedError{Err: cause, Unconfirmed: func(q backlog.Query) bool { return q.Queue == "a" }}
	partly, is := errors.AsType[*backlog.PartlyConfirmedError](err)
	if !is || !errors.Is(err, cause) || err.Error() != cause.Error() || !partly.Unconfirmed(backlog.Query{Queue: "a"}) {
		t.Errorf("%v is not a partial confirmation because of %v", err, cause)
	}
}

func TestMemo(t *testing.T) {
	t.Parallel()
	var memo backlog.Memo
	if memo.Load() != nil {
		t.Error("an empty memo has something")
	}
	memo.Store(7)
	if memo.Load() != 7 {
		t.Errorf("the memo has %v, want 7", memo.Load())
	}
}
