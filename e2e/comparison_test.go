package e2e_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/fakeworkers"
	"github.com/backlog-scaler/backlog-scaler/e2e/report"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// wholeComparison makes the comparison that docs/comparison.md shows, in place of the short one.
var wholeComparison = flag.Bool("comparison", false, "compare the triggers on the long trace and write docs/comparison.*")

// theTrace is the seed of the trace of docs/comparison.md.
const theTrace = 2

// traceSeed is another seed where the bounds are to be verified on bursts that no setting was chosen by.
var traceSeed = flag.Uint64("trace", theTrace, "seed of the trace of -comparison; with another one than the default nothing is written")

// A competitor is one way to scale.
type competitor struct {
	name     string
	metadata map[string]string // of this project's trigger, besides the queue; nil for the others
	formula  string            // of a policy that jumps from zero; empty for the others
	polling  time.Duration
	cooldown time.Duration // zero for that of the contest
}

// builtin reports whether KEDA's own trigger scales.
func (k competitor) builtin() bool { return k.metadata == nil && k.formula == "" }

// trigger is what sets the competitor apart in a ScaledObject.
func (k competitor) trigger() string {
	metadata := k.metadata
	switch {
	case k.formula != "":
		metadata = map[string]string{"formula": k.formula, "jump": string(v1alpha1.JumpFromZero)}
	case metadata == nil:
		metadata = map[string]string{"listLength": "5"}
	}
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		keys = append(keys, fmt.Sprintf("%s: %q", key, metadata[key]))
	}
	if k.cooldown != 0 {
		keys = append(keys, fmt.Sprintf("cooldownPeriod: %.0f", max(0, k.cooldown).Seconds()))
	}
	return strings.Join(append(keys, fmt.Sprintf("pollingInterval: %.0f", k.polling.Seconds())), ", ")
}

// A round is one Deployment of a competitor on the trace.
type round struct {
	workload *workload.Workload
	workers  *fakeworkers.Workers
	list     string
	pushed   []time.Time // by message
	// made is when its ScaledObject was made, and scaled when its HPA was.
	made, scaled time.Time
}

// A contest is how the competitors are compared.
type contest struct {
	namespace   string
	competitors []competitor
	trace       []report.Push
	copies      int
	cooldown    time.Duration
	apart       time.Duration // between the making of copies, so that no phase of KEDA's polls and of the HPA's syncs decides
	startup     time.Duration
	perMessage  time.Duration
	policies    *policyField
}

// The bounds of a policy that jumps, by the built-in trigger, on the long trace.
const (
	jumpWaits = 0.2 // the time that messages wait, p50
	jumpCosts = 1.2 // replica-seconds
)

// comparison runs all triggers on the same trace, with workers that really take the messages.
func (s *suite) comparison(t *testing.T) {
	const scenario = "bursts"
	c := contest{
		namespace: s.namespace(t, "comparison"), copies: 3, startup: 2 * time.Second, perMessage: 500 * time.Millisecond,
		trace: []report.Push{{Messages: 10}}, cooldown: 3 * time.Second, policies: s.newPolicyField(t),
	}
	polling := 20 * time.Second
	if *wholeComparison {
		polling = 30 * time.Second // KEDA's default
		c.trace, c.cooldown = bursts(3), 10*time.Second
	}
	c.apart = polling / time.Duration(c.copies)
	const drain, throughput = 20 * time.Second, 2 // with half a second for each message
	target := map[string]string{"target": "5"}
	drained := map[string]string{"drainTime": drain.String(), "throughput": strconv.Itoa(throughput)}
	if !*wholeComparison {
		drained["rateWindow"] = "10s" // the least: what arrived holds the workload up for so long
	}
	c.competitors = []competitor{
		{name: "external-push", polling: polling, metadata: target},
		{name: "drain time", polling: polling, metadata: drained},
		{name: "built-in redis", polling: polling},
		// Nine workers at once, which do eighteen messages a second. A policy has holds of its own, so KEDA needs none. KEDA goes to
		// zero when it polls:
		// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L346
		{name: "policy that jumps", polling: time.Second, formula: "backlog > 0 ? max(9, need.backlog) : 0", cooldown: workload.NoCooldown},
	}
	if *wholeComparison {
		c.competitors = append(c.competitors,
			competitor{name: "external-push, 1 s", polling: time.Second, metadata: target},
			competitor{name: "built-in redis, 1 s", polling: time.Second},
		)
	}
	result := s.compete(t, c)
	theirs := result.Contenders[slices.IndexFunc(c.competitors, competitor.builtin)]
	for i, k := range result.Contenders {
		s.took(t, scenario, k.Name+" p50", k.P50)
		s.took(t, scenario, k.Name+" p99", k.P99)
		s.note(t, measurement.Measurement{Name: underscores(scenario + " " + k.Name + " cost"), Value: k.ReplicaSeconds, Unit: "replica-seconds"})
		if !c.competitors[i].builtin() && k.P50 >= theirs.P50 {
			t.Errorf("messages of %s (%s) waited %s at the median, not less than the %s of %s", k.Name, k.Trigger, k.P50, theirs.P50, theirs.Name)
		}
		if *wholeComparison && c.competitors[i].formula != "" {
			s.note(t,
				measurement.Measurement{
					Name: underscores(scenario + " jump waits"), Value: k.P50.Seconds(), Unit: "s",
					Ratio: new(k.P50.Seconds() / theirs.P50.Seconds()), Bound: measurement.RatioAtMost(jumpWaits),
				},
				measurement.Measurement{
					Name: underscores(scenario + " jump costs"), Value: k.ReplicaSeconds, Unit: "replica-seconds",
					Ratio: new(k.ReplicaSeconds / theirs.ReplicaSeconds), Bound: measurement.RatioAtMost(jumpCosts),
				},
			)
		}
	}
	if *wholeComparison && *traceSeed == theTrace {
		root, err := toolchain.Root()
		check(t, err)
		check(t, result.Write(filepath.Join(root, "..", "docs")))
	}
}

// bursts is a trace of n bursts, always the same one for a seed. The pauses are long enough for every workload to go to zero.
func bursts(n int) []report.Push {
	random := rand.New(rand.NewPCG(1, *traceSeed))
	var trace []report.Push
	at := 5 * time.Second
	for range n {
		// 80 to 240 messages, 40 in a second.
		for left := 80 + random.IntN(161); left > 0; left -= 10 {
			trace = append(trace, report.Push{After: at, Messages: min(left, 10)})
			at += time.Second / 4
		}
		at += time.Minute + time.Duration(random.Int64N(int64(15*time.Second)))
	}
	return trace
}

// compete runs the trace and adds up what each competitor made of it.
func (s *suite) compete(t *testing.T, c contest) report.Comparison {
	t.Helper()
	phases := s.watchPhases(t, c.namespace)
	rounds := make([][]*round, len(c.competitors))
	for copied := range c.copies {
		if copied > 0 {
			s.pause(t, c.apart)
		}
		for i, k := range c.competitors {
			rounds[i] = append(rounds[i], s.enter(t, c, k, fmt.Sprintf("competitor-%d-%d", i, copied)))
		}
	}
	all := slices.Concat(rounds...)
	for _, r := range all {
		check(t, r.workload.WaitReady(s.ctx, time.Minute))
	}
	c.policies.ready(t, s, c.namespace, len(slices.DeleteFunc(slices.Clone(c.competitors), func(k competitor) bool { return k.formula == "" }))*c.copies)
	phases.made(s.ctx, t, all)
	began := time.Now()
	s.follow(t, c.trace, began, all)
	check(t, childprocess.Poll(s.ctx, "the last message", 5*time.Minute, 200*time.Millisecond, func(context.Context) error {
		for _, r := range all {
			taken, err := r.workers.Taken()
			if err != nil {
				t.Fatal(err)
			}
			if len(taken) != len(r.pushed) {
				return fmt.Errorf("%s has taken %d of %d", r.workload.Key(), len(taken), len(r.pushed))
			}
		}
		return nil
	}))
	drained := time.Now()
	for _, r := range all {
		s.reach(t, r.workload, drained, 3*time.Minute, 0)
		check(t, r.workers.Close())
	}
	result := report.Comparison{Trace: c.trace, Startup: c.startup, PerMessage: c.perMessage, Copies: c.copies}
	for i, k := range c.competitors {
		result.Contenders = append(result.Contenders, standing(t, k, rounds[i], began, time.Now()))
	}
	return result
}

// enter makes a Deployment with its trigger and its workers.
func (s *suite) enter(t *testing.T, c contest, k competitor, name string) *round {
	t.Helper()
	trigger, cooldown := s.builtin(s.redis, name), cmp.Or(k.cooldown, c.cooldown)
	switch {
	case k.formula != "":
		trigger = c.policies.trigger(t, s, c.namespace, name, k.formula)
	case k.metadata != nil:
		trigger = workload.Trigger{Type: "external-push", Metadata: map[string]string{
			"scalerAddress": s.scaler.Address(), "connection": "main", "list": name, "inFlightList": name + ":processing",
		}}
		maps.Copy(trigger.Metadata, k.metadata)
	}
	w, err := workload.New(s.ctx, s.stage.Clients, workload.Options{
		Namespace: c.namespace, Name: name, Triggers: []workload.Trigger{trigger},
		PollingInterval: k.polling, Cooldown: cooldown, MaxReplicas: 30,
	})
	check(t, err)
	made := time.Now()
	workers, err := fakeworkers.Start(s.ctx, s.stage.Clients.Kubernetes, fakeworkers.Options{
		Deployment: w.Key(), Startup: c.startup, PerMessage: c.perMessage,
		Redis: s.redis.Address(), List: name, InFlight: name + ":processing",
	})
	check(t, err)
	return &round{workload: w, workers: workers, list: name, made: made}
}

// follow writes the trace to the list of every round.
func (s *suite) follow(t *testing.T, trace []report.Push, began time.Time, all []*round) {
	t.Helper()
	for _, push := range trace {
		if left := time.Until(began.Add(push.After)); left > 0 {
			s.pause(t, left)
		}
		for _, r := range all {
			messages := make([]any, push.Messages)
			now := time.Now()
			for i := range messages {
				messages[i] = len(r.pushed)
				r.pushed = append(r.pushed, now)
			}
			check(t, s.redis.Client().RPush(s.ctx, r.list, messages...).Err())
		}
	}
}
