package page

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// history returns three samples with these bounds. The second one knows no value.
func history(floor, ceiling float64) []inspector.Sample {
	at := time.Unix(1_800_000_000, 0)
	return []inspector.Sample{
		{At: at, Value: 20, Wants: 4, Floor: floor, Ceiling: ceiling},
		{At: at.Add(10 * time.Second), Value: math.NaN(), Wants: math.NaN(), Floor: floor, Ceiling: ceiling},
		{At: at.Add(20 * time.Second), Value: 40, Wants: 8, Floor: floor, Ceiling: ceiling},
	}
}

// TestChart: a chart has what is known, names what a scaler is not sent, and shows a gap for what is
// unknown.
func TestChart(t *testing.T) {
	t.Parallel()
	none := math.NaN()
	for _, tc := range []struct {
		name  string
		chart *chart
		want  []string
		note  bool
	}{
		{"a trigger", triggerChart("c", history(none, none), "messages"), []string{"messages: value 40", "replicas: wanted 8"}, true},
		{"one with partitions", triggerChart("c", history(none, 12), "messages"), []string{"messages: value 40", "replicas: wanted 8", "replicas: more do not help 12"}, true},
		{"a policy", chartOf("c", history(2, 30), demand, "ceiling"), []string{demand + ": value 40", "replicas: wanted 8", "replicas: floor 2", "replicas: ceiling 30"}, false},
	} {
		var got []string
		for _, p := range tc.chart.Panels {
			for _, l := range p.Lines {
				got = append(got, p.Title+": "+l.Name+" "+l.Last)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if len(tc.chart.Gaps) != 1 || (tc.chart.Note != "") != tc.note {
			t.Errorf("%s: %d gaps, note %q", tc.name, len(tc.chart.Gaps), tc.chart.Note)
		}
	}
	if c := triggerChart("c", history(none, none)[:1], "messages"); c != nil {
		t.Error("one sample has a chart")
	}
}

// TestNext: what a scaler is not sent is named as unknown.
func TestNext(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	called := func(streams int32) *pb.CallHistory {
		return &pb.CallHistory{LastCallAt: timestamppb.New(now), OpenStreams: streams, LastResponses: []*pb.LastResponse{{Method: "GetMetrics", At: timestamppb.New(now.Add(-4 * time.Second))}}}
	}
	for _, tc := range []struct {
		name  string
		calls *pb.CallHistory
		jobs  string
		want  []string
	}{
		{"a watch", &pb.CallHistory{}, "", []string{"Nothing: no ScaledObject asks"}},
		{"polled", called(0), "", []string{"It last got the value 4.0 s ago. kubectl --namespace shop describe hpa keda-hpa-billing", "pollingInterval is not part of what KEDA sends. It last asked never, at this replica."}},
		{"pushed", called(2), "", []string{"are unknown here: KEDA does not send that, nor the number of replicas", "at once when the scaler pushes"}},
		{"jobs", called(0), "default", []string{"KEDA makes Jobs at its next poll"}},
	} {
		e := &pb.Explanation{Trigger: &pb.Trigger{Namespace: "shop", ScaledObject: "billing"}, CallHistory: tc.calls, Decision: &pb.Decision{JobStrategy: tc.jobs}}
		got := nextOf(e, now)
		if len(got) != len(tc.want) {
			t.Fatalf("%s: %q", tc.name, got)
		}
		for i := range got {
			if !strings.Contains(got[i], tc.want[i]) {
				t.Errorf("%s: %q does not have %q", tc.name, got[i], tc.want[i])
			}
		}
	}
}
