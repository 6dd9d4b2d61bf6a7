package candidate_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
)

// policyObject is a policy with the ScaledObject that names it.
const policyObject = `apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata:
  name: emails
spec:
  via: KEDA
  scaleTargetRef: {name: emails}
  minReplicas: 1 # for the first one
  maxReplicas: 20
  signals:
    - {name: backlog, connection: main, trigger: {list: jobs, inFlightList: held}, target: "7"}
    - {name: load, connection: main, trigger: {list: others}}
  schedules:
    - name: office
      timeZone: Europe/Berlin
      start: "0 8 * * 1-5"
      end: "0 18 * * 1-5"
      floor: 4
---
kind: ScaledObject
metadata:
  name: emails
spec:
  minReplicaCount: 1
  maxReplicaCount: 20
  triggers:
    - type: external-push
      metadata: {policy: emails}
`

// readOne reads the only candidate of a text.
func readOne(t *testing.T, reader *candidate.Reader, text string) *candidate.Candidate {
	t.Helper()
	found, err := reader.Read("file", []byte(text))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d candidates, %v", len(found), err)
	}
	return &found[0]
}

// TestPolicySettings: what is changed is changed in the policy and in its ScaledObject, and everything
// else stays. What is decided by is what the YAML says.
func TestPolicySettings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		settings candidate.Settings
		text     string
		want     []string // lines of the YAML
		spec     func(*policies.Policy) bool
	}{
		{"a target and bounds", candidate.Settings{Target: 2.5, Min: new(int32(0)), Max: new(int32(30))}, "target 2.5, min 0, max 30", []string{
			"minReplicas: 0", "maxReplicas: 30", `target: "2.5"`, "minReplicaCount: 0", "maxReplicaCount: 30",
		}, func(p *policies.Policy) bool {
			return p.Spec.Signals[0].Target == 2.5 && p.Spec.MinReplicas == 0 && p.Spec.MaxReplicas == 30
		}},
		{"a drain time", candidate.Settings{DrainTime: 30 * time.Second, Throughput: 0.5, RateWindow: time.Minute}, "drainTime 30s, rateWindow 1m0s", []string{
			`trigger: {list: jobs, inFlightList: held, drainTime: "30s", throughput: "0.5", rateWindow: "1m0s"}`,
		}, func(p *policies.Policy) bool { return p.Spec.Signals[0].Target == 0 }},
		{"steps and a jump", candidate.Settings{Hold: new(2 * time.Minute), PolicySettings: candidate.PolicySettings{
			Up: &candidate.Step{Percent: 50, Period: 30 * time.Second, First: 4, Ready: 100}, Down: &candidate.Step{Percent: 10, Period: time.Minute}, Jump: policies.JumpFromZero,
		}}, "hold 2m0s, steps up 50 % each 30s from 4 when 100 % are available, steps down 10 % each 1m0s, jump FromZero", []string{
			"jump: FromZero", "hold: 2m0s",
		}, func(p *policies.Policy) bool {
			return p.Jump == policies.JumpFromZero && *p.Spec.Up == policy.StepUp{First: 4, Percent: 50, Period: 30 * time.Second, ReadyPercent: 100, StuckAfter: 10 * time.Minute} &&
				*p.Spec.Down == policy.StepDown{Percent: 10, Period: time.Minute, Hold: 2 * time.Minute}
		}},
		{"steps at once", candidate.Settings{PolicySettings: candidate.PolicySettings{Up: &candidate.Step{}, Down: &candidate.Step{}}}, "steps up at once, steps down at once", []string{
			"percent: 100", "hold: 0s",
		}, func(p *policies.Policy) bool {
			return p.Spec.Up == nil && *p.Spec.Down == policy.StepDown{Percent: 100, Period: 15 * time.Second}
		}},
		{"a floor, and an HPA that follows", candidate.Settings{PolicySettings: candidate.PolicySettings{Floors: []candidate.Floor{{Schedule: "office", Replicas: 8}}, Follow: true}}, "floor 8 in office, HPA at once", []string{
			"floor: 8", "- {type: Percent, value: 900, periodSeconds: 15}", "stabilizationWindowSeconds: 0",
		}, func(p *policies.Policy) bool { return *p.Spec.Schedules[0].Floor == 8 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
			today := readOne(t, reader, policyObject)
			if err := today.Tunable(); err != nil || today.Sized() != "backlog" || today.Follows() {
				t.Fatalf("%v, the signal with a size is %q, and the HPA follows %t", err, today.Sized(), today.Follows())
			}
			changed, err := reader.With(today, &tc.settings)
			if err != nil {
				t.Fatal(err)
			}
			got, err := changed.YAML()
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range append(tc.want, "scaleTargetRef: {name: emails}") {
				if !strings.Contains(string(got), part) {
					t.Errorf("no %q in\n%s", part, got)
				}
			}
			if !tc.spec(changed.Policy) || tc.settings.String() != tc.text || tc.settings.Changes() == 0 {
				t.Errorf("%q has %+v and %+v", &tc.settings, changed.Policy, changed.Policy.Spec.Down)
			}
			if changed.Follows() != tc.settings.Follow {
				t.Errorf("the HPA follows: %t", changed.Follows())
			}
			again := readOne(t, reader, string(got))
			if diff := cmp.Diff(changed.Policy, again.Policy); diff != "" {
				t.Errorf("the YAML is another policy (-with +read):\n%s", diff)
			}
			if untouched, err := today.YAML(); err != nil || strings.Contains(string(untouched), "percent") {
				t.Errorf("the first one became\n%s", untouched)
			}
		})
	}
}

// TestPolicyMistakes: what the check of policies rejects is no candidate.
func TestPolicyMistakes(t *testing.T) {
	t.Parallel()
	reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	today := readOne(t, reader, policyObject)
	for want, settings := range map[string]candidate.Settings{
		"minReplicas 200": {Min: new(int32(200))},
		"jump":            {PolicySettings: candidate.PolicySettings{Jump: "Often"}},
		`no "night"`:      {PolicySettings: candidate.PolicySettings{Floors: []candidate.Floor{{Schedule: "night", Replicas: 2}}}},
	} {
		if _, err := reader.With(today, &settings); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
	// Two signals with a need share one queue here, so that neither has a size of its own.
	both := readOne(t, reader, strings.Replace(policyObject, "trigger: {list: others}", `trigger: {list: others, target: "3"}`, 1))
	if got := both.Sized(); got != "" {
		t.Errorf("the size of %q would be changed", got)
	}
	if _, err := reader.With(both, &candidate.Settings{Target: 3}); err == nil {
		t.Error("the target of one of two signals was changed")
	}
}

// TestUnknownSignals: a signal that measures a number is unknown to a simulation. What counts then is what the
// policy says, and without that it cannot be simulated.
func TestUnknownSignals(t *testing.T) {
	t.Parallel()
	reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	with := func(signal string) string {
		return strings.Replace(policyObject, "{name: load, connection: main, trigger: {list: others}}", "{name: load, connection: metrics, trigger: {query: max(load)}"+signal+"}", 1)
	}
	for signal, want := range map[string]string{
		", whenUnknown: Ignore":              "policy default/emails: signal load measures a number that the trace does not have: it is ignored, as whenUnknown says",
		`, whenUnknown: Value, value: "3.5"`: "policy default/emails: signal load measures a number that the trace does not have: its value for that counts, 3.5",
	} {
		c := readOne(t, reader, with(signal))
		if diff := cmp.Diff([]string{want}, c.Notes); diff != "" || !c.Triggers[0].Policy.Signals[1].Unknown {
			t.Errorf("notes (-want +got):\n%s", diff)
		}
	}
	observed := readOne(t, reader, strings.Replace(policyObject, "via: KEDA", "via: KEDA\n  mode: Observe", 1))
	if len(observed.Notes) != 1 || !strings.Contains(observed.Notes[0], "it is simulated as Enforce") {
		t.Errorf("notes %q", observed.Notes)
	}
	if _, err := reader.Read("file", []byte(with(""))); err == nil || !strings.Contains(err.Error(), "signals[load]: query measures a number") {
		t.Errorf("error %v", err)
	}
}

// TestExamples: each policy of the examples that KEDA writes for can be simulated and changed.
func TestExamples(t *testing.T) {
	t.Parallel()
	const folder = "../../../examples/policies"
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	simulated := 0
	for _, file := range files {
		data, err := os.ReadFile(folder + "/" + file.Name())
		if err != nil || !strings.HasSuffix(file.Name(), ".yaml") {
			continue
		}
		reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
		found, err := reader.Read(file.Name(), data)
		if file.Name() == "night-scale-down.yaml" { // via: Scale, without a ScaledObject
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", file.Name(), err)
			continue
		}
		simulated++
		for i := range found {
			if _, err := reader.With(&found[i], &candidate.Settings{Max: new(int32(50)), PolicySettings: candidate.PolicySettings{Up: &candidate.Step{Percent: 100, Period: time.Minute}}}); err != nil {
				t.Errorf("%s: %v", file.Name(), err)
			}
		}
	}
	if simulated < 8 {
		t.Errorf("%d examples can be simulated, want 8", simulated)
	}
}
