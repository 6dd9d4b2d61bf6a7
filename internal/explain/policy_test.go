package explain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// policyExplanation is one that has everything in it.
func policyExplanation() *pb.PolicyExplanation {
	orders := explanation()
	orders.CallHistory, orders.ReadStatus = nil, &pb.ReadStatus{WakeUpMode: "tracking", LastAttempt: &pb.ReadAttempt{At: ago(time.Second), Cause: "poll"}}
	orders.Decision.Steps, orders.Decision.Drain = orders.GetDecision().GetSteps()[1:], nil
	orders.Reading.Parts, orders.Reading.OldestAgeSeconds, orders.Reading.Orphaned, orders.Reading.IgnoredOrphaned = nil, nil, 0, 0
	orders.Reading.Paused, orders.Reading.MaxUsefulWorkers, orders.Reading.NextDue = false, 0, nil
	orders.Problem.Since = ago(20 * time.Second)
	latency := &pb.Explanation{
		Trigger:  &pb.Trigger{Connection: "metrics", Layout: "query", Queue: "max(latency)"},
		Problem:  &pb.Problem{Reason: "denied", Message: "403"},
		Decision: nil,
	}
	return &pb.PolicyExplanation{Signals: []*pb.Explanation{orders, latency}, Policy: &pb.Policy{
		Namespace: "shop", Name: "billing", Generation: 3, Mode: "Enforce", Via: "KEDA", Jump: "Floor",
		Workload:  &pb.Workload{Kind: "Deployment", Name: "billing", Replicas: new(int32(4)), Available: new(int32(2)), LastScale: ago(3 * time.Minute), Paused: true},
		DecidedAt: ago(1200 * time.Millisecond), ValidUntil: ago(-40 * time.Second), ReportedReplicas: new(int32(8)), WantedReplicas: new(int32(12)), Active: true,
		Demand: &pb.Demand{Reason: "formula", Formula: "max(need.orders,\n  2)", Replicas: 4.5},
		Steps: []*pb.ReplicaStep{
			{Reason: "stale", Name: "orders"},
			{Reason: "formula", After: 5, Description: "The `formula` gives this number of replicas."},
			{Reason: "stepUp", Before: 12, After: 8},
		},
		Signals: []*pb.Signal{
			{
				Name: "orders", State: "Stale", Value: new(25.0), Target: new(5.0), Need: new(5.0), ValueUsedUntil: ago(-30 * time.Second), WhenUnknown: "Hold",
				Learned: &pb.LearnedThroughput{Used: 0.5, Measured: new(3.127), Confidence: 0.41, Floor: 0.5, Ceiling: 10},
			},
			{Name: "latency", State: "Holding", WhenUnknown: "Hold"},
		},
		Bounds: &pb.Bounds{
			Floor: 8, FloorWindow: "sale", Ramping: true, Ceiling: 20, CeilingWindow: "night", Conflict: true, OpenWindows: []string{"night", "weekend"},
			NextWindow: "night", NextAt: ago(-3 * time.Hour),
		},
		Limiters: []*pb.Limiter{
			{Name: "database", Action: "Freeze", ActiveSince: ago(5 * time.Minute), When: "load > 0.9", Until: "load < 0.7"},
			{Name: "licences", Action: "Ceiling", ActiveSince: ago(90 * time.Second), When: "current >= 4", Ceiling: new(int32(30))},
			{Name: "errors", Action: "Freeze", When: "errors > 1"},
		},
		Gate: &pb.StepGate{
			StepFrom: new(int32(2)), StepTo: new(int32(6)), PeriodEnds: ago(-20 * time.Second),
			Required: new(int32(3)), WaitingSince: ago(3 * time.Minute), StuckAt: ago(-7 * time.Minute),
		},
		Hold:      &pb.Hold{Replicas: 12, At: ago(2 * time.Minute), Until: ago(-3 * time.Minute)},
		BusyPods:  &pb.BusyPods{Keep: "Strict", Known: true, Pods: 4, Busy: 2, Spare: 1, SparingSince: ago(2 * time.Minute), GiveUpAt: ago(-18 * time.Minute)},
		HeldUntil: ago(-15 * time.Second),
		Next:      &pb.NextMove{Actor: "HPA", Replicas: 8, Reason: "as the metrics want", DefaultReplicas: new(int32(6)), DefaultReason: "limited scale-up rate"},
	}}
}

// policyLines is what is printed of that policy below the verdict.
const policyLines = `policy      billing: mode Enforce, via KEDA, jump Floor, generation 3, decided 1.2 s ago
workload    Deployment billing: 4 replicas, 2 available, last changed 3 min ago; its ScaledObject is paused
decision    max(need.orders, 2) = 4.5
            stale orders: stays 0
            formula: 0 -> 5. The formula gives this number of replicas.
            stepUp: 12 -> 8
            12 wanted, 8 reported
            may change in 40 s without any new input
signal      orders: 25 messages / 5 per replica, needs 5; the last good value, for another 30 s
              a replica finishes 0.5/s: the floor until enough is learned, between 0.5/s and 10/s; measured 3.13/s, confidence 0.41
              25 messages: 23 ready + 4 in flight
              list "a,b" on connection orders, read 1.2 s ago
              23 ready, 0 due, 4 in flight (exact)
              warning: odd
              last attempt 1.0 s ago (poll)
              unavailable for 20 s: refused
              Start it.
            latency: unknown (whenUnknown: Hold)
              query "max(latency)" on connection metrics, never read
              denied: 403
bounds      floor 8 of window sale, which is still to open; ceiling 20 of window night
            the floor of a window is above the ceiling of another one, which counts
windows     open: night, weekend
            night closes in 3 h, at 2026-11-22 18:04 UTC
limiters    database: no growth, since 5 min; ends when load < 0.7
            licences: not more than 30 replicas, since 90 s; while current >= 4
            errors: inactive; begins when errors > 1
steps       the step from 2 to 6 is not complete
            the next step waits for its period, which ends in 20 s
            the next step waits for 3 available replicas, since 3 min; 2 of 4 are available; it is stuck in 7 min
hold        12 replicas were wanted 2 min ago, which counts for another 3 min
busy        2 of 4 pods, 1 can be deleted without a busy one; keep: Strict; they delay a fall since 2 min, and may for another 18 min
jump        no smaller number than the current one is reported for another 15 s
next        the HPA sets 4 -> 8 replicas at its next sync, within 15 s
            an HPA without behavior sets 6: limited scale-up rate
`

func TestPolicyText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*pb.Policy)
		want   string
	}{
		{"decided", func(*pb.Policy) {}, "AutoscalerPolicy shop/billing wants 8 replicas, active"},
		{"mistakes", func(p *pb.Policy) { p.Mistakes = []string{"a", "b"} }, "AutoscalerPolicy shop/billing has 2 mistakes, so it decides nothing"},
		{"no number", func(p *pb.Policy) { p.ReportedReplicas = nil }, "AutoscalerPolicy shop/billing has no number of replicas, so they stay"},
		{"not decided on", func(p *pb.Policy) { p.ReportedReplicas, p.DecidedAt = nil, nil }, "AutoscalerPolicy shop/billing is not decided on yet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := policyExplanation()
			tc.change(x.GetPolicy())
			var got strings.Builder
			if err := explain.PolicyText(&got, &pb.ExplainPolicyResponse{At: ago(0), Explanation: x}); err != nil {
				t.Fatal(err)
			}
			first, rest, _ := strings.Cut(got.String(), "\n")
			if first != tc.want {
				t.Errorf("%q, want %q", first, tc.want)
			}
			if diff := cmp.Diff(strings.Split(policyLines, "\n"), strings.Split(rest, "\n")); tc.name == "decided" && diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPolicyTrigger prints a trigger that names a policy: the verdict, the policy, and KEDA's calls.
func TestPolicyTrigger(t *testing.T) {
	t.Parallel()
	e := &pb.Explanation{
		Trigger:  &pb.Trigger{Id: "1", Namespace: "shop", ScaledObject: "worker", Name: "policy-x", Layout: "policy", Queue: "billing", Policy: "billing"},
		Decision: &pb.Decision{Value: 8, Target: 1, Active: true, WantedReplicas: 8, Steps: []*pb.Step{{Reason: "need", After: 12}, {Reason: "stepUp", Before: 12, After: 8}}},
		CallHistory: &pb.CallHistory{LastCallAt: ago(2 * time.Second), LastMethod: "GetMetrics", OpenStreams: 1, LastResponses: []*pb.LastResponse{
			{Method: "GetMetrics", At: ago(2 * time.Second), UnchangedSince: ago(9 * time.Second), Value: new(8.0)},
		}},
		Policy: policyExplanation(),
	}
	want := "shop/worker wants 8 replicas (AutoscalerPolicy billing), active; reported to KEDA 2.0 s ago\n" + policyLines +
		"KEDA        last call GetMetrics 2.0 s ago; 1 open stream\n" +
		"            GetMetrics returned 8 replicas 2.0 s ago, unchanged for 9.0 s\n"
	var got strings.Builder
	if err := explain.Text(&got, &pb.ExplainResponse{At: ago(0), Explanations: []*pb.Explanation{e}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	e.Policy = nil
	got.Reset()
	if err := explain.Lines(&got, &pb.WatchDecisionsResponse{At: ago(0), Changed: []*pb.Explanation{e}}); err != nil {
		t.Fatal(err)
	}
	if want := "15:04:05.000  shop/worker policy-x  wants 8 replicas (policy billing), active, need, stepUp\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

func TestNextMove(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		next *pb.NextMove
		want string
	}{
		{"unknown", nil, ""},
		{"nothing acts", &pb.NextMove{Actor: "none", Replicas: 4, Reason: "paused"}, "next        4 replicas stay: paused\n"},
		{"KEDA", &pb.NextMove{Actor: "KEDA", Reason: "cooldown"}, "next        4 -> 0 replicas: cooldown\n"},
		{"the HPA changes nothing", &pb.NextMove{Actor: "HPA", Replicas: 4}, "next        the HPA leaves 4 replicas\n"},
		{
			"on the way", &pb.NextMove{Actor: "HPA", Replicas: 6, Reason: "limited scale-up rate"},
			"next        the HPA sets 4 -> 6 replicas at its next sync, within 15 s, on the way to 8 (limited scale-up rate)\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			x := policyExplanation()
			x.Policy.Next = tc.next
			var got strings.Builder
			if err := explain.PolicyText(&got, &pb.ExplainPolicyResponse{At: ago(0), Explanation: x}); err != nil {
				t.Fatal(err)
			}
			_, last, _ := strings.Cut(got.String(), "\njump ")
			if _, last, _ = strings.Cut(last, "\n"); last != tc.want {
				t.Errorf("%q, want %q", last, tc.want)
			}
		})
	}
}
