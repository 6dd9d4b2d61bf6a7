package hpa

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A recorded case is what the real kube-controller-manager was seen to do. The end-to-end tests hold the file to it.
type recorded struct {
	Name     string
	Messages float64
	Cap      int32
	Target   string
	Type     string
	Running  int32
	Ready    int32
	Min, Max int32
	Behavior string
	Want     []int32
}

// recordedRules are those of a direction as the API has them.
type recordedRules struct {
	StabilizationWindowSeconds *int32
	Tolerance                  *quantity
	SelectPolicy               string
	Policies                   []struct {
		Type          string
		Value         int32
		PeriodSeconds int32
	}
}

// A quantity is a number, or one of thousandths with an m behind it.
type quantity float64

func (q *quantity) UnmarshalText(text []byte) error {
	digits, unit := string(text), 1.0
	if last := len(digits) - 1; last >= 0 && digits[last] == 'm' {
		digits, unit = digits[:last], 1000
	}
	value, err := strconv.ParseFloat(digits, 64)
	*q = quantity(value / unit)
	return err
}

// over puts what the API was given over what it fills in.
func (r *recordedRules) over(rules Rules) Rules {
	if r == nil {
		return rules
	}
	if r.StabilizationWindowSeconds != nil {
		rules.Stabilization = time.Duration(*r.StabilizationWindowSeconds) * time.Second
	}
	if r.Tolerance != nil {
		rules.Tolerance = float64(*r.Tolerance)
	}
	rules.Select = map[string]Select{"": SelectMax, "Max": SelectMax, "Min": SelectMin, "Disabled": SelectDisabled}[r.SelectPolicy]
	if r.Policies == nil {
		return rules
	}
	rules.Policies = nil
	for _, p := range r.Policies {
		policy := Policy{Period: time.Duration(p.PeriodSeconds) * time.Second}
		if p.Type == "Pods" {
			policy.Pods = p.Value
		} else {
			policy.Percent = p.Value
		}
		rules.Policies = append(rules.Policies, policy)
	}
	return rules
}

// spec is that of the HorizontalPodAutoscaler which KEDA made for the case.
func (c recorded) spec(behaviors map[string]struct{ ScaleUp, ScaleDown *recordedRules }) (spec Spec, known bool) {
	spec = ScaledObject{Min: c.Min, Max: c.Max}.Spec()
	if c.Behavior == "none" {
		return spec, true
	}
	b, known := behaviors[c.Behavior]
	spec.Behavior = &Behavior{Up: b.ScaleUp.over(DefaultUp()), Down: b.ScaleDown.over(DefaultDown())}
	return spec, known
}

// metric is what the scaler reported to KEDA.
func (c recorded) metric(t *testing.T) Metric {
	t.Helper()
	target, err := strconv.ParseFloat(c.Target, 64)
	if err != nil {
		t.Fatal(err)
	}
	value := c.Messages
	if c.Cap > 0 {
		value = min(value, float64(c.Cap)*target)
	}
	types := map[string]TargetType{"AverageValue": AverageValue, "Value": Value}
	kind, known := types[c.Type]
	if !known {
		t.Fatalf("unknown type %q", c.Type)
	}
	return Metric{Name: "backlog", Type: kind, Value: Thousandths(value), Target: Thousandths(target)}
}

// A recording is the file.
type recording struct {
	Behaviors map[string]struct{ ScaleUp, ScaleDown *recordedRules }
	Cases     []recorded
}

func readRecording(t *testing.T) recording {
	t.Helper()
	contents, err := os.ReadFile("testdata/kubernetes.json")
	if err != nil {
		t.Fatal(err)
	}
	var file recording
	if err := json.Unmarshal(contents, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAsKubernetes holds the model to what the real HorizontalPodAutoscaler did.
func TestAsKubernetes(t *testing.T) {
	t.Parallel()
	file := readRecording(t)
	if least := 50; len(file.Cases) < least {
		t.Errorf("there are %d cases, want at least %d", len(file.Cases), least)
	}
	for _, c := range file.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			spec, known := c.spec(file.Behaviors)
			if !known {
				t.Fatalf("unknown behavior %q", c.Behavior)
			}
			metric := c.metric(t)
			autoscaler, running, got := New(spec), Scale{Spec: c.Running, Status: c.Running, Ready: c.Ready}, []int32{}
			// One look, and as many more as changes were waited for.
			for look := range max(len(c.Want), 1) {
				r := autoscaler.Sync(epoch.Add(time.Duration(look)*SyncPeriod), running, []Metric{metric})
				if r.Replicas != running.Spec {
					got = append(got, r.Replicas)
				}
				running = Steady(r.Replicas)
			}
			if diff := cmp.Diff(c.Want, got); diff != "" {
				t.Errorf("replicas after %d (-want +got):\n%s", c.Running, diff)
			}
		})
	}
}

// TestDocumentedCaps: the documentation shows what was recorded of counts that must be
// exact, and nothing else.
func TestDocumentedCaps(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/comparison.md")
	if err != nil {
		t.Fatal(err)
	}
	const head = "| asked for | running | `tolerance` | `maxReplicaCount` | becomes |\n| --- | --- | --- | --- | --- |\n"
	_, rest, found := strings.Cut(string(document), head)
	got, _, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatalf("the document has no table that begins with\n%s", head)
	}
	var want []string
	for _, c := range readRecording(t).Cases {
		if !strings.HasPrefix(c.Name, "cap ") && !strings.HasPrefix(c.Name, "no cap") || c.Target != "5" {
			continue
		}
		asked, tolerance, limit, becomes := strconv.Itoa(int(c.Cap)), "10 %", "", c.Running
		if c.Cap == 0 {
			asked = strconv.FormatFloat(c.Messages/5, 'f', -1, 64)
		}
		if c.Behavior == "exact" {
			tolerance = `"0"`
		}
		if c.Max < 100 {
			limit = strconv.Itoa(int(c.Max))
		}
		for _, n := range c.Want {
			becomes = n
		}
		want = append(want, fmt.Sprintf("| %s | %d | %s | %s | %d |", asked, c.Running, tolerance, limit, becomes))
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}
