package e2e_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// outAndIn brings a Deployment from zero to ten replicas and, when the queue is empty, back to zero, with both triggers
// side by side. From one replica on it is the HPA that scales, every 15 s, so that part is equal for both.
func (s *suite) outAndIn(t *testing.T) {
	const (
		scenario = "2 out and in"
		messages = 50 // ten replicas at five messages each
		cooldown = 5 * time.Second
	)
	namespace := s.namespace(t, "out-and-in")
	for _, c := range []contender{
		{name: "external-push", trigger: s.pushed},
		{name: "built-in redis", trigger: func(list string) workload.Trigger { return s.builtin(s.redis, list) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			trigger := c.trigger("out-and-in-" + c.name)
			list := "out-and-in-" + c.name
			w := s.workload(t, workload.Options{
				Namespace: namespace, Name: dashes(c.name), Triggers: []workload.Trigger{trigger},
				PollingInterval: time.Second, Cooldown: cooldown,
			})
			written := time.Now()
			check(t, s.redis.Push(s.ctx, list, messages))
			first, err := w.WaitReplicas(s.ctx, written, time.Minute, func(n int32) bool { return n >= 1 })
			check(t, err)
			s.within(t, scenario, c.name+": 0 to 1", first.Sub(written), 5*time.Second)
			s.within(t, scenario, c.name+": 0 to 10", s.reach(t, w, written, 3*time.Minute, 10), 2*time.Minute)
			drained := time.Now()
			check(t, s.redis.Drain(s.ctx, list))
			s.within(t, scenario, c.name+": 10 to 0, cooldown 5 s", s.reach(t, w, drained, time.Minute, 0), 20*time.Second)
		})
	}
}
