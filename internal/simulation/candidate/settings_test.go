package candidate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
)

// TestSettings: what is changed is changed, and everything else stays, comments as well.
func TestSettings(t *testing.T) {
	t.Parallel()
	const before = `# emails of the shop
kind: ScaledObject
spec:
  minReplicaCount: 1 # for the first one
  triggers:
    - type: external-push
      metadata:
        connection: main
        list: jobs
        target: "7"
`
	for _, tc := range []struct {
		name     string
		settings candidate.Settings
		text     string
		want     string
	}{
		{"nothing", candidate.Settings{}, "as today", before},
		{"a target and bounds", candidate.Settings{Target: 2.5, Min: new(int32(0)), Max: new(int32(9))}, "target 2.5, min 0, max 9", `# emails of the shop
kind: ScaledObject
spec:
  minReplicaCount: 0
  triggers:
    - type: external-push
      metadata:
        connection: main
        list: jobs
        target: "2.5"
  maxReplicaCount: 9
`},
		{"a drain time and a behavior", candidate.Settings{
			DrainTime: 30 * time.Second, Throughput: 0.5, RateWindow: 2 * time.Minute, Hold: new(time.Minute), DownWindow: new(time.Duration(0)), FastUp: true, Tolerance: new(0.0),
		}, "drainTime 30s, rateWindow 2m0s, hold 1m0s, scaleDown window 0s, scaleUp at once, tolerance 0", `# emails of the shop
kind: ScaledObject
spec:
  minReplicaCount: 1 # for the first one
  triggers:
    - type: external-push
      metadata:
        connection: main
        list: jobs
        drainTime: "30s"
        throughput: "0.5"
        rateWindow: "2m0s"
        hold: "1m0s"
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleDown:
          stabilizationWindowSeconds: 0
          tolerance: "0"
        scaleUp:
          policies:
            - {type: Percent, value: 900, periodSeconds: 15}
            - {type: Pods, value: 100, periodSeconds: 15}
          tolerance: "0"
`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
			found, err := reader.Read("emails", []byte(before))
			if err != nil {
				t.Fatal(err)
			}
			if err := found[0].Tunable(); err != nil {
				t.Fatal(err)
			}
			changed, err := reader.With(&found[0], &tc.settings)
			if err != nil {
				t.Fatal(err)
			}
			got, err := changed.YAML()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("YAML (-want +got):\n%s", diff)
			}
			if tc.settings.String() != tc.text {
				t.Errorf("it is called %q, want %q", &tc.settings, tc.text)
			}
			if untouched, err := found[0].YAML(); err != nil || string(untouched) != before {
				t.Errorf("the first one became\n%s", untouched)
			}
		})
	}
	reader := &candidate.Reader{Engines: engines.All()}
	found, err := reader.Read("emails", []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	// What the parser rejects is an error.
	if _, err := reader.With(&found[0], &candidate.Settings{Min: new(int32(200))}); err == nil || !strings.Contains(err.Error(), "want at most maxReplicaCount") {
		t.Errorf("error %v", err)
	}
	found[0].Triggers = append(found[0].Triggers, found[0].Triggers[0])
	if err := found[0].Tunable(); err == nil {
		t.Error("two triggers can be tuned")
	}
}
