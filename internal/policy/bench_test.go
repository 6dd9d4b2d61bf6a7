package policy_test

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

func BenchmarkDecide(b *testing.B) {
	p := compiled(b, policy.Spec{
		MaxReplicas: 100,
		Signals:     []policy.Signal{backlog(), {Name: "load", MaxStaleness: time.Minute}, {Name: "latency", MaxStaleness: time.Minute}},
		Formula:     "need.backlog * (latency > 2 ? 1.5 : 1)",
		Schedules:   []schedule.Spec{office(8)},
		Limiters:    []policy.Limiter{{Name: "database", When: "load > 0.9", Until: "load < 0.7"}},
		Up:          &policy.StepUp{Pods: 2, Period: 30 * time.Second, ReadyPercent: 100},
		Down:        &policy.StepDown{Pods: 2, Period: time.Minute, Hold: 5 * time.Minute},
	})
	in := policy.Input{Signals: signals("backlog", 900, "load", 0.5, "latency", 1), Target: steady(10)}
	b.ReportAllocs()
	for b.Loop() {
		d, err := p.Decide(in, start)
		if err != nil {
			b.Fatal(err)
		}
		in.State = d.State
	}
}
