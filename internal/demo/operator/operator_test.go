package operator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/operator"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// Whenever the demo starts, its policy has a floor within a minute, and none within another.
func TestPolicyBitesWithinTwoMinutes(t *testing.T) {
	t.Parallel()
	parsed, err := operator.Parse(operator.Policy(), engines.All(), "demo")
	if err != nil || len(parsed) != 1 {
		t.Fatalf("%d policies, want 1 (%v)", len(parsed), err)
	}
	catalog := trigger.NewCatalog([]backlog.Connection{{Name: "demo", Engine: "redis", Namespaces: []string{"demo"}}}, engines.All())
	compiled, problems := runner.Compile(parsed[0], catalog)
	if len(problems) > 0 {
		t.Fatalf("it does not fit the connection of the demo: %v", problems)
	}
	for name, began := range map[string]time.Time{
		"in an even minute":    time.Date(2026, 11, 27, 13, 0, 1, 0, time.UTC),
		"in an odd minute":     time.Date(2026, 11, 27, 13, 1, 59, 0, time.UTC),
		"before midnight":      time.Date(2026, 12, 31, 23, 59, 30, 0, time.UTC),
		"in a zone of its own": time.Date(2026, 11, 27, 13, 0, 1, 0, time.FixedZone("", 5*3600+45*60)),
	} {
		var floors []int32
		for second := range 121 {
			state := compiled.Schedule().At(began.Add(time.Duration(second) * time.Second))
			if len(floors) == 0 || floors[len(floors)-1] != state.Floor.Replicas {
				floors = append(floors, state.Floor.Replicas)
			}
		}
		if diff := cmp.Diff([]int32{floors[0], 3 - floors[0], floors[0]}, floors[:min(3, len(floors))]); diff != "" {
			t.Errorf("started %s the floors of two minutes are (-want +got):\n%s", name, diff)
		}
	}
}

// The policy reads the queue of the workload whose trigger names it.
func TestPolicyReadsTheQueueOfItsWorkload(t *testing.T) {
	t.Parallel()
	parsed, err := operator.Parse(operator.Policy(), engines.All(), "demo")
	if err != nil || len(parsed) != 1 {
		t.Fatalf("%d policies, want 1 (%v)", len(parsed), err)
	}
	for _, spec := range workload.Specs(1, 0) {
		if spec.Policy != parsed[0].Name {
			continue
		}
		if spec.Name != parsed[0].Ref.Name {
			t.Errorf("the policy is for the workload %q, and the trigger of %q names it", parsed[0].Ref.Name, spec.Name)
		}
		want := map[string]string{spec.Layout: spec.Name, "inFlightList": spec.Name + ":working", "target": "5"}
		if diff := cmp.Diff(want, parsed[0].Signals[0].Trigger); diff != "" {
			t.Errorf("its signal (-want +got):\n%s", diff)
		}
		return
	}
	t.Errorf("no workload of the demo names the policy %s", parsed[0].Key)
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("floor: 3", "flor: 3", "maxReplicas: 10", "maxReplicas: ten").Replace(string(operator.Policy()))
	_, err := operator.Parse([]byte(text), engines.All(), "demo")
	for _, want := range []string{"read policy demo/invoices: line ", "maxReplicas", `flor`, "floor"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}
