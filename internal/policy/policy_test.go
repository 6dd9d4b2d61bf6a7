package policy_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
)

// start is a Tuesday, 13:00 in Berlin.
var start = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// backlog is a queue; one replica takes 20 messages.
func backlog() policy.Signal {
	return policy.Signal{Name: "backlog", Target: 20, MaxStaleness: time.Minute}
}

// office is a window from 07:00 to 20:00 in Berlin with a floor.
func office(floor int32) schedule.Spec {
	return schedule.Spec{Name: "office", TimeZone: "Europe/Berlin", Start: "0 7 * * 1-5", End: "0 20 * * 1-5", Floor: &floor}
}

func compiled(t testing.TB, spec policy.Spec) *policy.Policy {
	t.Helper()
	p, err := policy.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNewRejects(t *testing.T) {
	t.Parallel()
	good := func() policy.Spec {
		return policy.Spec{MaxReplicas: 10, Signals: []policy.Signal{backlog(), {Name: "load", MaxStaleness: time.Minute}}}
	}
	limiter := policy.Limiter{Name: "database", When: "load > 0.9"}
	for _, tc := range []struct {
		name   string
		change func(*policy.Spec)
		want   string
	}{
		{"negative minimum", func(s *policy.Spec) { s.MinReplicas = -1 }, "minReplicas -1: want 0 or more"},
		{"no maximum", func(s *policy.Spec) { s.MaxReplicas = 0 }, "maxReplicas 0: want 1 or more"},
		{"minimum above maximum", func(s *policy.Spec) { s.MinReplicas = 11 }, "minReplicas 11: want at most maxReplicas, 10"},
		{"nothing", func(s *policy.Spec) { s.Signals = nil }, "signals: missing, want a signal or a schedule"},
		{"no need", func(s *policy.Spec) { s.Signals[0].Target = 0 }, "formula: missing, want one, or a signal with a target"},
		{"too many signals", func(s *policy.Spec) { s.Signals = make([]policy.Signal, 17) }, "17 signals, want at most 16"},
		{"name with a meaning", func(s *policy.Spec) { s.Signals[1].Name = "ready" }, `signal "ready": name "ready": has a meaning in formulas`},
		{"name twice", func(s *policy.Spec) { s.Signals[1].Name = "backlog" }, `signal "backlog": name: an earlier signal has the same name`},
		{"target", func(s *policy.Spec) { s.Signals[0].Target = math.NaN() }, `signal "backlog": target NaN: want a positive number`},
		{"negative target", func(s *policy.Spec) { s.Signals[0].Target = -1 }, `signal "backlog": target -1: want a positive number`},
		{"staleness", func(s *policy.Spec) { s.Signals[0].MaxStaleness = 0 }, `signal "backlog": maxStaleness 0s: want more than 0s`},
		{"what is unknown", func(s *policy.Spec) { s.Signals[0].WhenUnknown = 3 }, `whenUnknown 3: want Hold, Ignore or Value`},
		{"value without a target", func(s *policy.Spec) {
			s.Signals[0] = policy.Signal{Name: "backlog", OwnTarget: true, MaxStaleness: time.Minute, WhenUnknown: policy.UseValue}
		}, `signal "backlog": target: missing, want one for the value that stands`},
		{"value", func(s *policy.Spec) { s.Signals[0].Value = math.Inf(1) }, `value +Inf: want a finite number`},
		{"formula", func(s *policy.Spec) { s.Formula = "backlgo / 2" }, "formula: unknown name backlgo at 1:1, want one of backlog, load, need.backlog, current, ready; did you mean backlog?"},
		{"need without a target", func(s *policy.Spec) { s.Formula = "need.load" }, "formula: unknown name need.load at 1:1"},
		{"schedule", func(s *policy.Spec) { s.Schedules = []schedule.Spec{{Name: "a"}} }, `schedule "a": start: missing`},
		{"too many limiters", func(s *policy.Spec) { s.Limiters = make([]policy.Limiter, 9) }, "9 limiters, want at most 8"},
		{"limiter without a name", func(s *policy.Spec) { s.Limiters = []policy.Limiter{{When: "load > 1"}} }, `limiter "": name: missing`},
		{"limiter twice", func(s *policy.Spec) { s.Limiters = []policy.Limiter{limiter, limiter} }, `limiter "database": name: an earlier limiter has the same name`},
		{"action", func(s *policy.Spec) { s.Limiters = []policy.Limiter{{Name: "a", Action: 2}} }, `limiter "a": action 2: want Freeze or Ceiling`},
		{"ceiling of a freeze", func(s *policy.Spec) { s.Limiters = []policy.Limiter{{Name: "a", When: "load > 1", Ceiling: "1"}} }, `limiter "a": ceiling goes with action: Ceiling`},
		{"long condition", func(s *policy.Spec) {
			s.Limiters = []policy.Limiter{{Name: "a", When: "load > " + strings.Repeat("1", 600)}}
		}, `limiter "a": when: 607 bytes long, want at most 512`},
		{"no condition", func(s *policy.Spec) { s.Limiters = []policy.Limiter{{Name: "a", When: "load"}} }, `limiter "a": when: a number at 1:1, want a condition`},
		{"until", func(s *policy.Spec) { s.Limiters = []policy.Limiter{{Name: "a", When: "load > 1", Until: "laod < 1"}} }, `limiter "a": until: unknown name laod at 1:1`},
		{"ceiling", func(s *policy.Spec) {
			s.Limiters = []policy.Limiter{{Name: "a", When: "load > 1", Action: policy.Lower}}
		}, `limiter "a": ceiling: empty, want an expression`},
		{"size of a step up", func(s *policy.Spec) { s.Up = &policy.StepUp{} }, "steps.up: no size, want pods, percent or both"},
		{"negative step up", func(s *policy.Spec) { s.Up = &policy.StepUp{Pods: -1} }, "steps.up.pods: negative, want 0 or more"},
		{"negative first", func(s *policy.Spec) { s.Up = &policy.StepUp{Pods: 1, First: -1} }, "steps.up.first: negative"},
		{"negative period", func(s *policy.Spec) { s.Up = &policy.StepUp{Pods: 1, Period: -1} }, "steps.up.period: negative"},
		{"negative patience", func(s *policy.Spec) { s.Up = &policy.StepUp{Pods: 1, StuckAfter: -1} }, "steps.up.stuckAfter: negative"},
		{"ready percent", func(s *policy.Spec) { s.Up = &policy.StepUp{Pods: 1, ReadyPercent: 101} }, "steps.up.readyPercent 101: want 0 to 100"},
		{"negative step down", func(s *policy.Spec) { s.Down = &policy.StepDown{Percent: -1} }, "steps.down.percent: negative"},
		{"negative period down", func(s *policy.Spec) { s.Down = &policy.StepDown{Period: -1} }, "steps.down.period: negative"},
		{"negative hold", func(s *policy.Spec) { s.Down = &policy.StepDown{Hold: -1} }, "steps.down.hold: negative"},
		{"keep", func(s *policy.Spec) { s.Busy = &policy.BusyPods{Keep: 2} }, "busyPods.keep 2: want Prefer or Strict"},
		{"give up", func(s *policy.Spec) { s.Busy = &policy.BusyPods{GiveUpAfter: -1} }, "busyPods.giveUpAfter: negative"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			spec := good()
			tc.change(&spec)
			_, err := policy.New(spec)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q, want %q", fmt.Sprint(err), tc.want)
			}
		})
	}
	if p := compiled(t, policy.Spec{MaxReplicas: 1, Schedules: []schedule.Spec{office(1)}}); p.Schedule().Empty() {
		t.Error("a policy lost its schedule")
	}
}
