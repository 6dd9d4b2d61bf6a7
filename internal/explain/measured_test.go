package explain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// TestMeasured prints a number that was measured, to a thousandth and without messages.
func TestMeasured(t *testing.T) {
	t.Parallel()
	e := &pb.Explanation{
		Trigger: &pb.Trigger{Id: "1", Namespace: "shop", ScaledObject: "api", Name: "query-x", Connection: "metrics", Layout: "query", Queue: "sum(load)"},
		Decision: &pb.Decision{
			Value: 0.931, Target: 0.125, Active: true, WantedReplicas: 8, Counted: []string{"ready", "due", "inFlight"}, Activation: 0.005,
			Steps: []*pb.Step{{Reason: "hold", Before: 0.5, After: 0.931}},
		},
		Reading:    &pb.Reading{At: ago(time.Second), AgeSeconds: 1, Quality: "exact", Measured: new(0.5), Warning: "one store did not answer"},
		ReadStatus: &pb.ReadStatus{Server: "prometheus 3.1.0", WakeUpMode: "poll", LastAttempt: &pb.ReadAttempt{At: ago(time.Second), Cause: "poll"}},
		CallHistory: &pb.CallHistory{LastCallAt: ago(2 * time.Second), LastMethod: "GetMetrics", OpenStreams: 1, LastResponses: []*pb.LastResponse{
			{Method: "GetMetrics", At: ago(2 * time.Second), UnchangedSince: ago(9 * time.Second), Value: new(0.931)},
			{Method: "GetMetricSpec", At: ago(3 * time.Second), UnchangedSince: ago(3 * time.Second), Target: new(0.125)},
		}},
	}
	var got strings.Builder
	if err := explain.Text(&got, &pb.ExplainResponse{At: ago(0), Explanations: []*pb.Explanation{e}}); err != nil {
		t.Fatal(err)
	}
	want := `shop/api wants 8 replicas (0.931 / 0.125 per replica), active; reported to KEDA 2.0 s ago
decision    0.5: measured
            hold: 0.5 -> 0.931
            active; the activation is 0.005
queue       query "sum(load)" on connection metrics, read 1.0 s ago
            measured: 0.5
reads       last attempt 1.0 s ago (poll); changes noticed by poll (prometheus 3.1.0)
KEDA        last call GetMetrics 2.0 s ago; 1 open stream
            GetMetrics returned 0.931 2.0 s ago, unchanged for 9.0 s
            GetMetricSpec returned 0.125 per replica 3.0 s ago, unchanged for 3.0 s
warning     one store did not answer
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
	got.Reset()
	if err := explain.Lines(&got, &pb.WatchDecisionsResponse{At: ago(0), Changed: []*pb.Explanation{e}}); err != nil {
		t.Fatal(err)
	}
	if want := "15:04:05.000  shop/api query-x  wants 8 replicas (0.931 / 0.125), active, hold\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}
