package inspector

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

func TestNextMove(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                         string
		current, available, reported int32
		change                       func(*policies.Explanation)
		want                         string
	}{
		{"none at zero", 0, 0, 0, nil, "none 0 no replica is wanted"},
		{"from zero", 0, 0, 8, nil, "KEDA 1 KEDA starts minReplicaCount replicas, at least one; then the HPA acts"},
		{"to zero", 8, 8, 0, nil, "KEDA 0 KEDA deletes all replicas above minReplicaCount once cooldownPeriod has passed"},
		{"to zero with a busy pod", 8, 8, 1, func(x *policies.Explanation) { x.Outcome.Decision.Active = true }, "HPA 1 as the metrics want; 1"},
		{"no change", 8, 8, 8, nil, "HPA 8 as the metrics want; 8"},
		{"up", 4, 2, 6, nil, "HPA 6 as the metrics want; 6"},
		{"within the tolerance", 20, 20, 21, nil, "HPA 21 as the metrics want; 20 within the tolerance of 10 %"},
		{"more than twice", 4, 4, 30, nil, "HPA 30 as the metrics want; 8 limited scale-up rate"},
		{"more than ten times", 2, 2, 30, nil, "HPA 20 limited scale-up rate; 4 limited scale-up rate"},
		{"down", 30, 30, 2, nil, "HPA 2 as the metrics want; 2"},
		{"observed", 4, 4, 6, func(x *policies.Explanation) { x.Policy.Mode = policies.Observe }, "none 4 the policy says mode: Observe, so nothing acts on it"},
		{"paused", 4, 4, 6, func(x *policies.Explanation) { x.Target.Paused = true }, "none 4 the ScaledObject is paused"},
		{"unknown", 4, 4, 0, func(x *policies.Explanation) { x.Outcome.Err = policy.ErrUnknown }, "none 4 there is no number, so the replicas stay"},
		{"written", 4, 4, 6, func(x *policies.Explanation) { x.Policy.Via = policies.ViaScale }, "scaler 6 one replica of the scaler writes the number"},
		{"written before", 6, 4, 6, func(x *policies.Explanation) { x.Policy.Via = policies.ViaScale }, "none 6 the workload has the replicas that were decided"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := policies.Explanation{Status: policies.Status{
				Policy:      policies.Policy{Mode: policies.Enforce, Via: policies.ViaKEDA},
				Target:      policies.Target{Target: policy.Target{Replicas: tc.current, Available: tc.available}},
				TargetKnown: true, Outcome: policies.Outcome{Replicas: tc.reported}, Decided: true,
			}}
			if tc.change != nil {
				tc.change(&x)
			}
			n := nextMove(&x, time.Unix(1_800_000_000, 0))
			got := fmt.Sprintf("%s %d %s", n.GetActor(), n.GetReplicas(), n.GetReason())
			if n.DefaultReplicas != nil {
				got = strings.TrimSpace(fmt.Sprintf("%s; %d %s", got, n.GetDefaultReplicas(), n.GetDefaultReason()))
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestWatchShowsPolicies: a change of the reasons of a policy is a change of its triggers.
func TestWatchShowsPolicies(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 90)
		b.set()
		b.target(4, 4)
		b.called("billing")
		stream := &recorder{}
		w := b.inspector.hub.watch("", stream.send)
		defer w.end()
		lines := func() string {
			b.Helper()
			time.Sleep(Interval)
			if err := w.step(time.Now()); err != nil {
				b.Fatal(err)
			}
			var text strings.Builder
			for _, m := range stream.messages {
				if err := explain.Lines(&text, m); err != nil {
					b.Fatal(err)
				}
			}
			stream.messages = nil
			_, after, _ := strings.Cut(strings.TrimSpace(text.String()), "  ")
			return after
		}
		for _, tc := range []struct {
			change func()
			want   string
		}{
			{func() {}, "shop/uses-billing policy-billing  wants 5 replicas (policy billing), active, need"},
			{func() {}, ""},
			{func() { b.set(func(p *policies.Policy) { p.Spec.Formula = "need.orders" }) }, "shop/uses-billing policy-billing  wants 5 replicas (policy billing), active, formula"},
			{func() { b.runner.Remove("shop", "billing") }, `shop/uses-billing policy-billing  no_policy: policy "billing": no such AutoscalerPolicy in namespace "shop"`},
		} {
			tc.change()
			synctest.Wait()
			if got := lines(); got != tc.want {
				b.Errorf("%q, want %q", got, tc.want)
			}
		}
	})
}

// TestPolicyHistory: a policy has a sample in each ten seconds in which a client looks, whether or not a
// trigger names it, and none of a time before.
func TestPolicyHistory(t *testing.T) {
	withBench(t, func(b *bench) {
		key := policies.Key{Namespace: "shop", Name: "billing"}
		b.fake.SetReady("orders", 90)
		b.set(func(p *policies.Policy) { p.Spec.MinReplicas = 2 })
		b.target(4, 4)
		time.Sleep(time.Minute)
		leave, err := b.inspector.Listen()
		if err != nil {
			b.Fatal(err)
		}
		look := func() []Sample {
			time.Sleep(SampleTime)
			return b.inspector.PolicyHistory(key)
		}
		look()
		b.fake.SetReady("orders", 200)
		time.Sleep(time.Minute)
		look()
		b.runner.SetTarget("shop", "billing", policies.Target{Err: policy.ErrUnknown})
		synctest.Wait()
		got := look()
		var text []string
		for _, s := range got {
			text = append(text, fmt.Sprint(s.Value, s.Wants, s.Floor, s.Ceiling))
		}
		nothing := "NaN NaN NaN NaN"
		want := []string{"4.5 5 2 40", nothing, nothing, nothing, nothing, nothing, nothing, "10 10 2 40", nothing}
		if diff := cmp.Diff(want, text); diff != "" {
			b.Errorf("value, wanted, floor and ceiling (-want +got):\n%s", diff)
		}
		// The workload is forgotten with the policy, and all with those who look.
		leave()
		time.Sleep(2 * keepUnused)
		if got := b.inspector.PolicyHistory(key); len(got) != 1 {
			b.Errorf("%d samples are kept for no client", len(got))
		}
	})
}
