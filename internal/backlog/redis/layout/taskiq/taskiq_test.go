package taskiq_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

func startTaskiq(t testing.TB, broker string) *layouttest.Python {
	t.Helper()
	return layouttest.StartPython(t, "taskiq", "1", "%R~taskiq*", broker)
}

// taskiqFigures are those of tasks that wait and tasks that a worker was served. How
// good the lag of a stream is depends on the version of the server.
func taskiqFigures(t testing.TB, p *layouttest.Python, q backlog.Query, ready, inFlight int64) func() layouttest.Figures {
	t.Helper()
	return func() layouttest.Figures {
		t.Helper()
		return layouttest.Figures{Ready: ready, InFlight: backlog.Exactly(inFlight), Quality: backlogtest.MustRead(t, p.Source, q).Quality}
	}
}

// TestTaskiqStream: tasks on a stream, before and after its group was made, those that a
// worker was served, and those of a worker that was killed. Taskiq counts nothing itself.
func TestTaskiqStream(t *testing.T) {
	t.Parallel()
	p := startTaskiq(t, "stream")
	q := layouttest.Query("taskiq", "taskiq", "broker", "stream")
	p.CheckUnknown(t, q)
	p.Do(nil, "startup", "taskiq")
	p.Agrees(t, "the group is there", q, taskiqFigures(t, p, q, 0, 0))
	for range 6 {
		p.Do(nil, "add", "taskiq", "hold", map[string]any{})
	}
	r := p.Agrees(t, "six tasks", q, taskiqFigures(t, p, q, 6, 0))
	if r.Oldest.Kind == backlog.AgeUnknown || r.Missing {
		t.Errorf("six tasks read as %+v", r)
	}
	worker := p.Work(t, "taskiq")
	served := taskiqFigures(t, p, q, 4, 2)
	if r = p.Agrees(t, "a worker was served some", q, served); r.Oldest.Kind != backlog.AgeExact {
		t.Errorf("the oldest of tasks that a worker was served: %+v", r)
	}
	worker.Kill()
	p.Agrees(t, "the worker is killed", q, served)
	bounded := layouttest.Query("taskiq", "taskiq", "broker", "stream", "orphanedAfter", "1ms")
	if r = p.Agrees(t, "what nothing claims stops counting", bounded, taskiqFigures(t, p, bounded, 4, 0)); r.Ignored != 2 || r.Warning == "" {
		t.Errorf("tasks that a worker was served that was killed read as %+v", r)
	}

	other := layouttest.Query("taskiq", "taskiq:other", "broker", "stream", "consumerGroup", "taskiq")
	p.Do(nil, "startup", "taskiq:other")
	p.Do(nil, "add", "taskiq:other", "nothing", map[string]any{})
	p.Do(nil, "add", "taskiq:other", "fail", map[string]any{})
	p.Agrees(t, "two tasks on another queue", other, taskiqFigures(t, p, other, 2, 0))
	p.Work(t, "taskiq:other")
	p.Agrees(t, "one done, one failed", other, taskiqFigures(t, p, other, 0, 0))

	// A task that was sent before anybody made the group.
	p.Do(nil, "add", "taskiq:early", "nothing", map[string]any{})
	early := layouttest.Query("taskiq", "taskiq:early", "broker", "stream")
	if r = backlogtest.MustRead(t, p.Source, early); r.Ready != 1 || r.Warning == "" {
		t.Errorf("a task before there is a group reads as %+v", r)
	}
	p.ProveOf("stream broker", layouttest.Waiting, layouttest.InFlight, layouttest.Age)
}

// TestTaskiqList: tasks on a list, until a worker has taken them.
func TestTaskiqList(t *testing.T) {
	t.Parallel()
	p := startTaskiq(t, "list")
	q := layouttest.Query("taskiq", "taskiq", "broker", "list")
	p.CheckUnknown(t, q)
	for range 6 {
		p.Do(nil, "add", "taskiq", "hold", map[string]any{})
	}
	p.Do(nil, "add", "taskiq", "hold", map[string]any{"queue_name": "taskiq:urgent"})
	p.Agrees(t, "six tasks", q, func() layouttest.Figures { return layouttest.Figures{Ready: 6} })
	p.Agrees(t, "one sent elsewhere", layouttest.Query("taskiq", "taskiq:urgent", "broker", "list"), func() layouttest.Figures { return layouttest.Figures{Ready: 1} })
	p.Work(t, "taskiq")
	p.Agrees(t, "a worker took some", q, func() layouttest.Figures { return layouttest.Figures{Ready: 4} })
	p.ProveOf("list broker", layouttest.Waiting)
}

// TestTaskiqWakes: an idle queue wakes with Taskiq's own sending.
func TestTaskiqWakes(t *testing.T) {
	t.Parallel()
	for _, broker := range []string{"stream", "list"} {
		t.Run(broker, func(t *testing.T) {
			t.Parallel()
			p := startTaskiq(t, broker)
			layouttest.CheckWakes(t, p.Source, layouttest.Query("taskiq", "taskiq", "broker", broker), func() { p.Do(nil, "add", "taskiq", "nothing", map[string]any{}) })
			p.Do(nil, "startup", "taskiq:idle")
			layouttest.CheckWakes(t, p.Source, layouttest.Query("taskiq", "taskiq:idle", "broker", broker), func() { p.Do(nil, "add", "taskiq:idle", "nothing", map[string]any{}) })
			p.ProveOf(broker+" broker", layouttest.WakeUp)
		})
	}
}

// holdTaskiq: Taskiq counts nothing itself, so that what its group has not acknowledged
// is asked of Redis. A worker looks after such tasks when it is served a further one.
func holdTaskiq(t testing.TB, _ string) layouttest.Holder {
	t.Helper()
	p := startTaskiq(t, "stream")
	kept := func() bool {
		pending, err := p.Server.Client().XPending(t.Context(), "taskiq", "taskiq").Result()
		if err != nil {
			t.Fatal(err)
		}
		return pending.Count > 0
	}
	return layouttest.Holder{
		Driver: p.Driver, Server: p.Server, Query: layouttest.Query("taskiq", "taskiq", "broker", "stream"),
		Take: func() *layouttest.Driver {
			p.Do(nil, "startup", "taskiq")
			p.Do(nil, "add", "taskiq", "hold", map[string]any{})
			return p.Work(t, "taskiq")
		},
		Held: kept, Kept: kept, Note: "stream broker",
		Recover: func() {
			p.Work(t, "taskiq", true)
			p.Do(nil, "add", "taskiq", "nothing", map[string]any{})
		},
	}
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	layouttest.KilledWorkers(t, holdTaskiq, "taskiq")
}
