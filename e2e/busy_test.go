package e2e_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// busyWorkers gives one worker of each layout one long job. With nothing else in the queue, and with a cooldown and a polling
// interval far shorter than the job, it is not scaled away before the job is settled, and then it is.
func (s *suite) busyWorkers(t *testing.T) {
	const (
		scenario = "busy"
		lasts    = 30 * time.Second // of the job
		beats    = 10 * time.Second
	)
	namespace := s.namespace(t, "busy")
	objects := map[string]*workload.Workload{}
	for layout, j := range jobs() {
		name := "busy-" + layout
		s.commands(t, name, j.setup)
		metadata := map[string]string{"scalerAddress": s.scaler.Address(), "connection": "main", layout: name, "target": "5"}
		for key, value := range j.metadata {
			metadata[key] = strings.ReplaceAll(value, "QUEUE", name)
		}
		w, err := workload.New(s.ctx, s.stage.Clients, workload.Options{
			Namespace: namespace, Name: name, Triggers: []workload.Trigger{{Type: "external-push", Metadata: metadata}},
			PollingInterval: time.Second, Cooldown: 2 * time.Second,
		})
		check(t, err)
		objects[layout] = w
	}
	each := func(act func(layout string, j job, w *workload.Workload)) {
		for layout, j := range jobs() {
			act(layout, j, objects[layout])
		}
	}
	each(func(_ string, _ job, w *workload.Workload) { check(t, w.WaitReady(s.ctx, time.Minute)) })
	each(func(_ string, j job, w *workload.Workload) { s.commands(t, w.Key().Name, j.add) })
	each(func(_ string, _ job, w *workload.Workload) { s.reach(t, w, time.Now(), time.Minute, 1) })
	each(func(_ string, j job, w *workload.Workload) { s.commands(t, w.Key().Name, j.boot) })
	s.pause(t, 2*time.Second) // of starting up, in which the scaler looks at least once
	blind := s.workload(t, workload.Options{
		Namespace: namespace, Name: "blind", Triggers: []workload.Trigger{s.pushed("blind")}, PollingInterval: time.Second, Cooldown: 2 * time.Second,
	})
	s.commands(t, "blind", []string{"RPUSH QUEUE job"})
	s.reach(t, blind, time.Now(), time.Minute, 1)
	taken := time.Now()
	s.commands(t, "blind", []string{"LPOP QUEUE"})
	each(func(_ string, j job, w *workload.Workload) { s.commands(t, w.Key().Name, j.take) })
	for time.Since(taken) < lasts {
		s.pause(t, beats)
		each(func(_ string, j job, w *workload.Workload) { s.commands(t, w.Key().Name, j.beat) })
	}
	each(func(layout string, _ job, w *workload.Workload) {
		if least := w.Least(taken); least < 1 {
			t.Errorf("%s: the busy worker was scaled away: %v", layout, w.Since(taken))
		}
	})
	if least := blind.Least(taken); least != 0 {
		t.Errorf("the worker of a list without inFlightList was not scaled away within %s: the check proves nothing", lasts)
	}
	s.took(t, scenario, fmt.Sprintf("%d layouts none scaled away", len(objects)), time.Since(taken))
	settled := time.Now()
	each(func(_ string, j job, w *workload.Workload) { s.commands(t, w.Key().Name, j.settle) })
	each(func(layout string, _ job, w *workload.Workload) {
		s.took(t, scenario, layout+" from settled to zero", s.reach(t, w, settled, time.Minute, 0))
	})
}

// commands runs lines of Redis commands whose words have no blanks.
func (s *suite) commands(t *testing.T, queue string, lines []string) {
	t.Helper()
	now := time.Now()
	names := strings.NewReplacer(
		"QUEUE", queue, "WORKER", "worker-of-"+queue, "MILLIS", strconv.FormatInt(now.UnixMilli(), 10),
		"NOW", strconv.FormatFloat(float64(now.UnixMilli())/1000, 'f', 3, 64), "LEASE", strconv.FormatInt(now.Add(90*time.Second).Unix(), 10),
	)
	for _, line := range lines {
		var words []any
		for word := range strings.FieldsSeq(names.Replace(line)) {
			words = append(words, word)
		}
		if err := s.redis.Client().Do(s.ctx, words...).Err(); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

// delayedJobs has jobs of BullMQ fall due while no worker runs that promotes them: each wakes its workload, which KEDA would
// look at again only minutes later.
func (s *suite) delayedJobs(t *testing.T) {
	const (
		scenario = "delayed"
		objects  = 5
		apart    = 2 * time.Second
	)
	namespace := s.namespace(t, "delayed")
	waiting := make([]*workload.Workload, objects)
	for i := range waiting {
		name := list("delayed", i)
		s.commands(t, name, []string{"HSET bull:QUEUE:meta opts.maxLenEvents 10000"})
		waiting[i] = s.workload(t, workload.Options{
			Namespace: namespace, Name: name, PollingInterval: 5 * time.Minute,
			Triggers: []workload.Trigger{{Type: "external-push", Metadata: map[string]string{
				"scalerAddress": s.scaler.Address(), "connection": "main", "bullmq": name,
			}}},
		})
	}
	due := make([]time.Time, objects)
	for i, w := range waiting {
		due[i] = time.Now().Add(5*time.Second + time.Duration(i)*apart).Truncate(time.Millisecond)
		// The score is the time in milliseconds, with 12 bits for the order within one; the marker is what a worker would wait for.
		s.commands(t, w.Key().Name, []string{
			fmt.Sprintf("HSET bull:QUEUE:1 name job timestamp MILLIS delay %d", time.Until(due[i]).Milliseconds()),
			fmt.Sprintf("ZADD bull:QUEUE:delayed %d 1", due[i].UnixMilli()*4096+1),
			fmt.Sprintf("ZADD bull:QUEUE:marker %d 1", due[i].UnixMilli()),
		})
	}
	var late []time.Duration
	for i, w := range waiting {
		at, err := w.WaitReplicas(s.ctx, due[i].Add(-time.Hour), time.Minute, func(n int32) bool { return n >= 1 })
		check(t, err)
		if at.Before(due[i]) {
			t.Errorf("%s was woken %s before its job was due", w.Key(), due[i].Sub(at))
		}
		late = append(late, at.Sub(due[i]))
	}
	t.Logf("late by %v", late)
	s.took(t, scenario, "from due to first replica p50", quantile(late, 0.50))
	s.took(t, scenario, "from due to first replica max", quantile(late, 1))
}
