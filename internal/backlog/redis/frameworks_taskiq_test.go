package redis_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

func startTaskiq(t testing.TB, broker string) *python {
	t.Helper()
	return startPython(t, "taskiq", "1", "%R~taskiq*", broker)
}

// taskiqFigures are those of tasks that wait and tasks that a worker was served. How
// good the lag of a stream is depends on the version of the server.
func taskiqFigures(t testing.TB, p *python, q backlog.Query, ready, inFlight int64) func() figures {
	t.Helper()
	return func() figures {
		t.Helper()
		return figures{Ready: ready, InFlight: backlog.Exactly(inFlight), Quality: backlogtest.MustRead(t, p.source, q).Quality}
	}
}

// TestTaskiqStream: tasks on a stream, before and after its group was made, those that a
// worker was served, and those of a worker that was killed. Taskiq counts nothing itself.
func TestTaskiqStream(t *testing.T) {
	t.Parallel()
	p := startTaskiq(t, "stream")
	q := layoutQuery("taskiq", "taskiq", "broker", "stream")
	p.unacquainted(t, q)
	p.do(nil, "startup", "taskiq")
	p.agrees(t, "the group is there", q, taskiqFigures(t, p, q, 0, 0))
	for range 6 {
		p.do(nil, "add", "taskiq", "hold", map[string]any{})
	}
	r := p.agrees(t, "six tasks", q, taskiqFigures(t, p, q, 6, 0))
	if r.Oldest.Kind == backlog.AgeUnknown || r.Missing {
		t.Errorf("six tasks read as %+v", r)
	}
	worker := p.work(t, "taskiq")
	served := taskiqFigures(t, p, q, 4, 2)
	if r = p.agrees(t, "a worker was served some", q, served); r.Oldest.Kind != backlog.AgeExact {
		t.Errorf("the oldest of tasks that a worker was served: %+v", r)
	}
	worker.kill()
	p.agrees(t, "the worker is killed", q, served)
	bounded := layoutQuery("taskiq", "taskiq", "broker", "stream", "orphanedAfter", "1ms")
	if r = p.agrees(t, "what nothing claims stops counting", bounded, taskiqFigures(t, p, bounded, 4, 0)); r.Ignored != 2 || r.Warning == "" {
		t.Errorf("tasks that a worker was served that was killed read as %+v", r)
	}

	other := layoutQuery("taskiq", "taskiq:other", "broker", "stream", "consumerGroup", "taskiq")
	p.do(nil, "startup", "taskiq:other")
	p.do(nil, "add", "taskiq:other", "nothing", map[string]any{})
	p.do(nil, "add", "taskiq:other", "fail", map[string]any{})
	p.agrees(t, "two tasks on another queue", other, taskiqFigures(t, p, other, 2, 0))
	p.work(t, "taskiq:other")
	p.agrees(t, "one done, one failed", other, taskiqFigures(t, p, other, 0, 0))

	// A task that was sent before anybody made the group.
	p.do(nil, "add", "taskiq:early", "nothing", map[string]any{})
	early := layoutQuery("taskiq", "taskiq:early", "broker", "stream")
	if r = backlogtest.MustRead(t, p.source, early); r.Ready != 1 || r.Warning == "" {
		t.Errorf("a task before there is a group reads as %+v", r)
	}
	p.proveOf("stream broker", columnWaiting, columnInFlight, columnAge)
}

// TestTaskiqList: tasks on a list, until a worker has taken them.
func TestTaskiqList(t *testing.T) {
	t.Parallel()
	p := startTaskiq(t, "list")
	q := layoutQuery("taskiq", "taskiq", "broker", "list")
	p.unacquainted(t, q)
	for range 6 {
		p.do(nil, "add", "taskiq", "hold", map[string]any{})
	}
	p.do(nil, "add", "taskiq", "hold", map[string]any{"queue_name": "taskiq:urgent"})
	p.agrees(t, "six tasks", q, func() figures { return figures{Ready: 6} })
	p.agrees(t, "one sent elsewhere", layoutQuery("taskiq", "taskiq:urgent", "broker", "list"), func() figures { return figures{Ready: 1} })
	p.work(t, "taskiq")
	p.agrees(t, "a worker took some", q, func() figures { return figures{Ready: 4} })
	p.proveOf("list broker", columnWaiting)
}

// TestTaskiqWakes: an idle queue wakes with Taskiq's own sending.
func TestTaskiqWakes(t *testing.T) {
	t.Parallel()
	for _, broker := range []string{"stream", "list"} {
		t.Run(broker, func(t *testing.T) {
			t.Parallel()
			p := startTaskiq(t, broker)
			wakes(t, p.source, layoutQuery("taskiq", "taskiq", "broker", broker), func() { p.do(nil, "add", "taskiq", "nothing", map[string]any{}) })
			p.do(nil, "startup", "taskiq:idle")
			wakes(t, p.source, layoutQuery("taskiq", "taskiq:idle", "broker", broker), func() { p.do(nil, "add", "taskiq:idle", "nothing", map[string]any{}) })
			p.proveOf(broker+" broker", columnWakeUp)
		})
	}
}

// holdTaskiq: Taskiq counts nothing itself, so that what its group has not acknowledged
// is asked of Redis. A worker looks after such tasks when it is served a further one.
func holdTaskiq(t testing.TB, _ string) holder {
	t.Helper()
	p := startTaskiq(t, "stream")
	kept := func() bool {
		pending, err := p.server.Client().XPending(t.Context(), "taskiq", "taskiq").Result()
		if err != nil {
			t.Fatal(err)
		}
		return pending.Count > 0
	}
	return holder{
		driver: p.driver, server: p.server, query: layoutQuery("taskiq", "taskiq", "broker", "stream"),
		take: func() *driver {
			p.do(nil, "startup", "taskiq")
			p.do(nil, "add", "taskiq", "hold", map[string]any{})
			return p.work(t, "taskiq")
		},
		held: kept, kept: kept, note: "stream broker",
		recover: func() {
			p.work(t, "taskiq", true)
			p.do(nil, "add", "taskiq", "nothing", map[string]any{})
		},
	}
}

// TestKilledWorkers: a job that a worker holds is work from before the worker is killed until
// another one has finished it.
func TestKilledWorkersTaskiq(t *testing.T) {
	t.Parallel()
	killedWorkers(t, holdTaskiq, "taskiq")
}
