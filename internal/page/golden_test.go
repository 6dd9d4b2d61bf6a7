package page

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

var update = flag.Bool("update", false, "write the golden files again")

// TestPictures compares the pictures of pages with golden files: what is drawn follows from what is known, and from
// nothing else. `go test ./internal/page -update` writes them; look at them in a browser.
func TestPictures(t *testing.T) {
	t.Parallel()
	templates, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	floor, ceiling := int32(4), int32(12)
	for _, tc := range []struct {
		name, template string
		data           any
	}{
		{"decision", "picture", decisionPicture("orders", &pb.Explanation{
			Trigger: &pb.Trigger{Namespace: "shop", ScaledObject: "orders", Name: "s0-list-orders", Metadata: map[string]string{"target": "5"}},
			Reading: &pb.Reading{Backlog: 23, Ready: 20, InFlight: proto.Int64(3)},
			Decision: &pb.Decision{
				Value: 15, Target: 5, Activation: 2, WantedReplicas: 3, Active: true, Counted: []string{"ready", "inFlight"},
				Steps: []*pb.Step{{Reason: "ceiling", Description: "`maxUseful` <3 workers>", Before: 23, After: 15}},
			},
		}, "3 replicas for 15 messages")},
		{"policy", "picture", policyPicture("orders", &pb.Policy{
			Namespace: "shop", Name: "orders", ReportedReplicas: proto.Int32(4),
			Signals:  []*pb.Signal{{Name: "queue", Need: proto.Float64(7)}, {Name: "errors"}},
			Steps:    []*pb.ReplicaStep{{Reason: "step-up", Name: "up", Description: "at most 4", Before: 7, After: 4}},
			Bounds:   &pb.Bounds{Floor: 2, Ceiling: 10},
			Workload: &pb.Workload{Replicas: proto.Int32(2)},
			Next:     &pb.NextMove{Actor: "KEDA", Replicas: 4, Reason: "at its next poll"},
		}, "4 replicas")},
		{"chart", "chart", chartOf("orders", history(2, 30), demand, "ceiling")},
		{"timeline", "timeline", timelineOf(&policy.Spec{MaxReplicas: 20, Schedules: []schedule.Spec{
			{Name: "office", TimeZone: "Europe/Berlin", Start: "0 8 * * 1-5", Duration: 10 * time.Hour, Floor: &floor},
			{Name: "night", TimeZone: "Europe/Berlin", Start: "0 22 * * *", Duration: 8 * time.Hour, Ceiling: &ceiling},
		}}, time.Date(2027, 3, 25, 12, 0, 0, 0, time.UTC))}, // the clock goes forward in it
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var drawn bytes.Buffer
			if err := templates["trigger"].ExecuteTemplate(&drawn, tc.template, tc.data); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", tc.name+".html")
			if *update {
				if err := os.WriteFile(file, drawn.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(drawn.String(), "\n")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}
