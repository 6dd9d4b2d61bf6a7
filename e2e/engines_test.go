package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// An engine is a real server, the scaler that reads it, and two triggers on queues of that server: ours, and the one that KEDA
// has for the same system.
type engine struct {
	*suite

	name      string
	broker    *broker
	reader    *scaler.Scaler
	namespace string
}

// A pair is a workload of each trigger, each with a queue of its own that has the name of the workload.
type pair struct{ ours, theirs *workload.Workload }

// none and some are numbers of replicas.
func none(n int32) bool { return n == 0 }
func some(n int32) bool { return n >= 1 }

// TestEngines scales by a real Kafka, RabbitMQ, NATS, PostgreSQL and MariaDB, and by a server that speaks the protocol of SQS, next to
// KEDA's own trigger for each. Latency is measured of one engine at a time. Afterwards all go on together, each with an outage of its
// server.
func TestEngines(t *testing.T) { //nolint:tparallel // no other test shall run while latency is measured
	// KEDA's operator finds its credentials for SQS here.
	t.Setenv("AWS_ACCESS_KEY_ID", sqstest.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", sqstest.SecretKey)
	s := newStage(t, "-engines")
	for _, one := range []struct {
		name  string
		start func(*testing.T) *broker
	}{
		{"kafka", startKafka},
		{"rabbitmq", startRabbitMQ},
		{"jetstream", startJetStream},
		{"sqs", startSQS},
		{"postgresql", startPostgreSQL},
		{"mysql", startMySQL},
	} {
		t.Run(one.name, func(t *testing.T) {
			began := time.Now()
			e := &engine{suite: s, name: one.name, broker: one.start(t), namespace: s.namespace(t, one.name)}
			e.took(t, "engines "+one.name, "server started", time.Since(began))
			e.reader = s.startScaler(t, scaler.Options{
				Name: "scaler-" + one.name, Connections: map[string]scaler.Connection{one.name: e.broker.connection}, Env: e.broker.env,
			})
			e.activation(t)
			t.Parallel()
			e.outAndIn(t)
			e.outage(t)
		})
	}
}

// called is the name of a measurement of the engine.
func (e *engine) called(name string) string { return underscores("engines " + e.name + " " + name) }

// options are those of a workload of ours, or of the built-in trigger, whose queue it makes.
func (e *engine) options(t *testing.T, name string, ours bool, polling time.Duration) workload.Options {
	t.Helper()
	e.broker.create(t, name)
	trigger := workload.Trigger{Type: e.broker.trigger(e.name), Metadata: e.broker.theirs(name)}
	if ours {
		trigger = workload.Trigger{Type: "external-push", Metadata: e.broker.ours(name)}
		trigger.Metadata["scalerAddress"], trigger.Metadata["connection"], trigger.Metadata["target"] = e.reader.Address(), e.name, "5"
		trigger.Metadata["maxStaleness"] = "5s"
	}
	return workload.Options{
		Namespace: e.namespace, Name: name, Triggers: []workload.Trigger{trigger}, PollingInterval: polling, Cooldown: 2 * time.Second,
	}
}

// activation times writes to idle queues of both triggers in turns, from just before the write to the moment a watch shows
// spec.replicas at one or more. Ours is polled every 30 s, so that a median of seconds means that the push woke it; the built-in
// trigger is polled every second.
func (e *engine) activation(t *testing.T) {
	t.Helper()
	const (
		rounds = 9
		pushed = 5000.0 // milliseconds, of a busy machine
		within = 2 * time.Minute
	)
	var options []workload.Options
	for i := range rounds {
		options = append(options, e.options(t, list("ours", i), true, 30*time.Second), e.options(t, list("builtin", i), false, time.Second))
	}
	fleet, err := workload.NewFleet(e.ctx, e.stage.Clients, within, options)
	check(t, err)
	e.awaitStreams(t, within, options)
	var samples [2][]float64 // ours, theirs
	for i, w := range fleet {
		// Anywhere in the polling interval.
		e.pause(t, time.Second/2+rand.N(time.Second))
		written := time.Now()
		e.broker.write(t, w.Key().Name, 1)
		at, err := w.WaitReplicas(e.ctx, written, within, some)
		check(t, err)
		samples[i%2] = append(samples[i%2], milliseconds(at.Sub(written)))
		e.broker.drain(t, w.Key().Name)
	}
	for _, w := range fleet { // what is measured next shall have the machine for itself
		check(t, w.Delete(e.ctx))
	}
	t.Logf("from the write to a replica: ours %.1f ms, built-in %.1f ms", samples[0], samples[1])
	var compared measurement.Rounds
	for i, own := range samples[0] {
		compared.Add(own, samples[1][i])
	}
	e.note(t, compared.Measurement(e.called("activation"), "ms", measurement.AtMost(pushed)))
}

// awaitStreams waits until the scaler has read the queues of all workloads and KEDA holds a stream for each of ours. While a
// first reading takes long, as it does where an empty quorum queue is verified, KEDA gets an error: it closes its streams then,
// and opens them again within a minute.
func (e *engine) awaitStreams(t *testing.T, within time.Duration, options []workload.Options) {
	t.Helper()
	ours := 0
	for _, o := range options {
		if o.Triggers[0].Type == e.broker.trigger(e.name) {
			continue
		}
		ours++
		check(t, childprocess.Poll(e.ctx, "a reading of "+o.Name, within, 100*time.Millisecond, func(ctx context.Context) error {
			_, _, err := e.reader.Report(ctx, o.Namespace, o.Name, o.Triggers[0].Metadata)
			return err
		}))
	}
	check(t, e.stage.Cluster.WaitSettled(e.ctx, within))
	check(t, childprocess.Poll(e.ctx, "the streams of KEDA", within, 100*time.Millisecond, func(ctx context.Context) error {
		open, err := e.reader.Metric(ctx, "backlog_scaler_open_streams", map[string]string{"method": "StreamIsActive"})
		if err == nil && open < float64(ours) {
			err = fmt.Errorf("%.0f of %d are open", open, ours)
		}
		return err
	}))
}

// enter makes a pair of workloads.
func (e *engine) enter(t *testing.T, name string) pair {
	t.Helper()
	return pair{
		// Out of step with the HPA's 15 s, because of what outage says.
		ours:   e.workload(t, e.options(t, name+"-ours", true, 7*time.Second)),
		theirs: e.workload(t, e.options(t, name+"-builtin", false, 2*time.Second)),
	}
}

// write adds n messages to the queues of both.
func (e *engine) write(t *testing.T, p pair, n int) (written time.Time) {
	t.Helper()
	written = time.Now()
	e.broker.write(t, p.ours.Key().Name, n)
	e.broker.write(t, p.theirs.Key().Name, n)
	return written
}

// drain empties the queues of both.
func (e *engine) drain(t *testing.T, p pair) (drained time.Time) {
	t.Helper()
	e.broker.drain(t, p.ours.Key().Name)
	e.broker.drain(t, p.theirs.Key().Name)
	return time.Now()
}

// compare waits until our workload has exactly n replicas, which it must, and notes how long that took. What the built-in
// trigger made of the same is noted next to it: how long it took until its replicas were as theirs says, and how many it has then.
func (e *engine) compare(t *testing.T, p pair, name string, since time.Time, n int32, theirs func(int32) bool) {
	t.Helper()
	const within = 3 * time.Minute
	ours := e.reach(t, p.ours, since, within, n)
	m := measurement.Alone(e.called(name), "ms", measurement.Bound{}, milliseconds(ours))
	if at, err := p.theirs.WaitReplicas(e.ctx, since, within, theirs); err != nil {
		m.Note = fmt.Sprintf("to %d replicas; built-in not within %s", n, within)
		t.Logf("%s: the built-in trigger: %v", name, err)
	} else {
		got, err := p.theirs.Replicas()
		check(t, err)
		m.Note = fmt.Sprintf("to %d replicas; built-in to %d in %s", n, got, at.Sub(since).Round(time.Millisecond))
	}
	t.Logf("%s: ours in %s %s", name, ours.Round(time.Millisecond), m.Note)
	e.note(t, m)
}

// What the scenarios write, with five messages for each replica.
const (
	three = 15 // messages for as many replicas
	more  = 14 // are added: 29 are for six replicas, or for as many as the broker can use
)

// outAndIn goes from zero to three replicas and back.
func (e *engine) outAndIn(t *testing.T) {
	t.Helper()
	p := e.enter(t, "jobs")
	e.compare(t, p, "0 to 3", e.write(t, p, three), 3, func(n int32) bool { return n == 3 })
	if e.broker.deliver != nil {
		e.busy(t, p)
	}
	e.compare(t, p, "3 to 0", e.drain(t, p), 0, none)
	check(t, p.ours.Delete(e.ctx))
	check(t, p.theirs.Delete(e.ctx))
}

// busy hands all messages to workers that do not acknowledge them for longer than cooldown and polling interval: ours has its
// replicas for as long.
func (e *engine) busy(t *testing.T, p pair) {
	t.Helper()
	const lasts = 20 * time.Second
	queues := []string{p.ours.Key().Name, p.theirs.Key().Name}
	taken := time.Now()
	for _, queue := range queues {
		e.broker.deliver(t, queue, three)
	}
	e.pause(t, lasts)
	e.least(t, p, "with busy workers", taken)
	for _, queue := range queues {
		e.broker.acknowledge(t, queue, three)
	}
}

// outage takes the server away while three replicas run, for much longer than maxStaleness, cooldown, polling interval and the
// HPA's sync: an HPA that takes "unknown" for zero would have acted on it.
func (e *engine) outage(t *testing.T) {
	t.Helper()
	const lasts = 45 * time.Second
	p := e.enter(t, "outage")
	written := e.write(t, p, three)
	e.reach(t, p.ours, written, 3*time.Minute, 3)
	if _, err := p.theirs.WaitReplicas(e.ctx, written, 3*time.Minute, func(n int32) bool { return n == 3 }); err != nil {
		t.Logf("the built-in trigger before the outage: %v", err)
	}

	broken := time.Now()
	e.broker.take(t)
	e.hold(t, p.ours, broken, lasts, 3)
	e.judge(t, p, broken)

	e.broker.giveBack(t)
	back := e.write(t, p, more)
	e.compare(t, p, "from return to more replicas", back, e.broker.most, func(n int32) bool { return n > 3 })
	if got := p.ours.Least(broken); got < 3 {
		t.Errorf("replicas fell below 3: %v", p.ours.Since(broken))
	}
	e.compare(t, p, "to 0 after the outage", e.drain(t, p), 0, none)
	e.pause(t, 2*time.Second) // a push in the very moment in which KEDA scales to zero meets a conflict there
	e.compare(t, p, "0 to 1 after the outage", e.write(t, p, 1), 1, some)
}

// judge asserts that the ScaledObject of ours says what is wrong, and notes what the built-in trigger has made of the outage.
func (e *engine) judge(t *testing.T, p pair, broken time.Time) {
	t.Helper()
	notes, err := p.ours.Events(e.ctx)
	check(t, err)
	if all := strings.Join(notes, "\n"); !strings.Contains(all, "Unavailable") || !strings.Contains(all, `"`+e.name+`"`) {
		t.Errorf("the ScaledObject's events do not say Unavailable and name the connection: %q", notes)
	}
	t.Logf("events of ours: %q", notes)
	theirNotes, err := p.theirs.Events(e.ctx)
	check(t, err)
	t.Logf("built-in trigger in the outage: replicas %v, events %q", replicasOf(p.theirs.Since(broken)), theirNotes)
	e.least(t, p, "in the outage", broken)
}

// least asserts that our workload has had three replicas since a moment, and notes the least of the built-in trigger.
func (e *engine) least(t *testing.T, p pair, when string, since time.Time) {
	t.Helper()
	e.note(t, measurement.Measurement{
		Name: e.called("least of 3 replicas " + when), Value: float64(p.ours.Least(since)), Unit: "replicas",
		Bound: measurement.Bound{Of: measurement.OfValue, Least: true, Limit: 3}, Note: fmt.Sprintf("built-in %d", p.theirs.Least(since)),
	})
}
