package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
)

func shape(topology string) plan.Shape {
	return plan.Shape{
		Topology: topology,
		Queues:   []plan.Queue{{Name: "list", Writes: []string{"add", "drain"}}, {Name: "set", Writes: []string{"add"}}},
		Faults: []plan.Fault{
			{Name: "kill", Weight: 1, Least: time.Second, Most: 3 * time.Second, Settle: 10 * time.Second},
			{Name: "flush", Weight: 3, Settle: time.Second},
		},
	}
}

func TestSameSeedSamePlan(t *testing.T) {
	t.Parallel()
	one, two := plan.New(7, 5*time.Minute, []plan.Shape{shape("single")}), plan.New(7, 5*time.Minute, []plan.Shape{shape("single")})
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("two plans of one seed differ:\n%s", diff)
	}
	if cmp.Equal(one, plan.New(8, 5*time.Minute, []plan.Shape{shape("single")})) {
		t.Error("two seeds make one plan")
	}
}

// TestTopologiesAreIndependent: a run of one topology replays what it did among others.
func TestTopologiesAreIndependent(t *testing.T) {
	t.Parallel()
	var of []plan.Step
	for _, step := range plan.New(7, 5*time.Minute, []plan.Shape{shape("other"), shape("single")}) {
		if step.Topology == "single" {
			of = append(of, step)
		}
	}
	if diff := cmp.Diff(plan.New(7, 5*time.Minute, []plan.Shape{shape("single")}), of); diff != "" {
		t.Errorf("the plan of a topology depends on others:\n%s", diff)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const length = 10 * time.Minute
	faults, writes := map[string]int{}, map[string]int{}
	last := time.Duration(0)
	for _, step := range plan.New(1, length, []plan.Shape{shape("single")}) {
		if step.At < last || step.At+step.For > length {
			t.Errorf("%s, after one at %s", step, last)
		}
		last = step.At
		if step.Queue != "" {
			writes[step.Queue+" "+step.Write]++
			continue
		}
		faults[step.Fault]++
		if step.Fault == "kill" && step.At+step.For+10*time.Second > length {
			t.Errorf("%s: the run does not end at rest", step)
		}
		if step.Fault == "kill" && (step.For < time.Second || step.For > 3*time.Second) {
			t.Errorf("%s lasts too short or too long", step)
		}
	}
	if faults["kill"] == 0 || faults["flush"] <= faults["kill"] {
		t.Errorf("faults %v do not keep their weights", faults)
	}
	for _, want := range []string{"list add", "list drain", "set add"} {
		if writes[want] < 10 {
			t.Errorf("%q is written %d times", want, writes[want])
		}
	}
}
