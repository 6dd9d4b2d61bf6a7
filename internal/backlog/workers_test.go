package backlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestAggregateWorkers: a host is busy if it is in any queue. Without workers in the parts there are none in the whole.
func TestAggregateWorkers(t *testing.T) {
	t.Parallel()
	part := func(workers map[string]bool) backlog.Part {
		return backlog.Part{Reading: backlog.Reading{Workers: workers}}
	}
	for name, tc := range map[string]struct {
		parts []backlog.Part
		want  map[string]bool
	}{
		"not asked": {[]backlog.Part{part(nil), part(nil)}, nil},
		"none":      {[]backlog.Part{part(map[string]bool{}), part(map[string]bool{})}, map[string]bool{}},
		"both":      {[]backlog.Part{part(map[string]bool{"a": true, "b": false}), part(map[string]bool{"a": false, "c": true})}, map[string]bool{"a": true, "b": false, "c": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := len(tc.parts[0].Reading.Workers)
			if diff := cmp.Diff(tc.want, backlog.Aggregate(tc.parts).Workers); diff != "" {
				t.Error(diff)
			}
			if len(tc.parts[0].Reading.Workers) != first {
				t.Error("the workers of a part were changed")
			}
		})
	}
}

// TestWorkersQuery: queues with the same workers share a query.
func TestWorkersQuery(t *testing.T) {
	t.Parallel()
	query := func(queue, namespace string) backlog.Query {
		return backlog.Query{Layout: "l", Queue: queue, Params: backlog.NewParams(map[string]string{"namespace": namespace, "age": queue}), Namespace: queue}
	}
	alone, shared := backlog.Layout{Name: "l"}, backlog.Layout{Name: "l", WorkersScope: []string{"namespace"}}
	want := query("a", "app")
	want.Workers = true
	if got := alone.WorkersQuery(query("a", "app")); got != want {
		t.Errorf("of one queue: %+v, want %+v", got, want)
	}
	if a, b := shared.WorkersQuery(query("a", "app")), shared.WorkersQuery(query("b", "app")); a != b || !a.Workers {
		t.Errorf("of one application: %+v and %+v", a, b)
	}
	if a, b := shared.WorkersQuery(query("a", "app")), shared.WorkersQuery(query("a", "other")); a == b {
		t.Errorf("of two applications: %+v", a)
	}
}

// TestKnowsWorkers: a layout says by itself, or of a query, that its workers are not known.
func TestKnowsWorkers(t *testing.T) {
	t.Parallel()
	errQuery := errors.New("not of this queue")
	check := func(q backlog.Query) error {
		if q.Queue == "other" {
			return errQuery
		}
		return nil
	}
	if err := (backlog.Layout{Name: "celery"}).KnowsWorkers(backlog.Query{}); err == nil || !strings.Contains(err.Error(), "celery") {
		t.Errorf("a layout without workers: %v", err)
	}
	if err := (backlog.Layout{Workers: "all"}).KnowsWorkers(backlog.Query{}); err != nil {
		t.Error(err)
	}
	for queue, want := range map[string]error{"orders": nil, "other": errQuery} {
		if err := (backlog.Layout{Workers: "some", CheckWorkers: check}).KnowsWorkers(backlog.Query{Queue: queue}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", queue, err, want)
		}
	}
}
