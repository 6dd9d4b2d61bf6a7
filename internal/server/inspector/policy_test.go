package inspector

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	pbkeda "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

var update = flag.Bool("update", false, "write the golden files again")

// A bench is an inspector of a server that answers for policies, on a sampler with an engine in
// memory, in a bubble of synctest time.
type bench struct {
	*testing.T
	fake      *backlogtest.Fake
	runner    *runner.Runner
	server    *server.Server
	inspector *Inspector
}

// signalObserver gives the sampler the runner's shape.
type signalObserver struct{ *sampler.Sampler }

func (o signalObserver) Notify(want backlog.Interest, changed func()) (runner.Observed, error) {
	return o.Sampler.Notify(want, changed)
}

// answerer gives the runner the server's shape.
type answerer struct{ *runner.Runner }

func (a answerer) Follow(key policies.Key) server.PolicySubscription { return a.Runner.Follow(key) }

func withBench(t *testing.T, test func(*bench)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := backlogtest.NewFake()
		engines := []backlog.Engine{fake.Engine()}
		s := sampler.New(engines, sampler.Options{})
		defer s.Close()
		connections := []backlog.Connection{{Name: "main", Engine: "fake", Namespaces: []string{"shop"}}}
		if err := s.Apply(t.Context(), connections); err != nil {
			t.Fatal(err)
		}
		catalog := trigger.NewCatalog(connections, engines).WithPolicies()
		r := runner.New(signalObserver{s}, catalog, time.Now)
		r.Synced()
		defer r.Close()
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { defer close(stopped); r.Run(ctx) }()
		defer func() { cancel(); <-stopped }()
		srv := server.New(observer{s}, catalog, server.Options{Policies: answerer{r}})
		test(&bench{T: t, fake: fake, runner: r, server: srv, inspector: New(srv, s, r, func() error { return nil })})
	})
}

// set sets the policy shop/billing: one replica for each 20 messages of orders, at most 40.
func (b *bench) set(changes ...func(*policies.Policy)) {
	b.Helper()
	p := policies.Policy{
		Key: policies.Key{Namespace: "shop", Name: "billing"}, Generation: 3, Mode: policies.Enforce, Via: policies.ViaKEDA, Jump: policies.JumpNever,
		Ref:  policies.Ref{APIVersion: "apps/v1", Kind: "Deployment", Name: "billing"},
		Spec: policy.Spec{MaxReplicas: 40, Signals: []policy.Signal{{Name: "orders", MaxStaleness: 2 * time.Minute}}},
		Signals: []policies.Signal{{
			Name: "orders", Connection: "main", Trigger: map[string]string{"queue": "orders", "target": "20"}, Interval: 15 * time.Second,
		}},
	}
	for _, change := range changes {
		change(&p)
	}
	b.runner.Set(p)
	synctest.Wait()
}

// target sets how many replicas the workload has.
func (b *bench) target(replicas, available int32, changes ...func(*policies.Target)) {
	b.Helper()
	target := policies.Target{Target: policy.Target{Replicas: replicas, Available: available}}
	for _, change := range changes {
		change(&target)
	}
	b.runner.SetTarget("shop", "billing", target)
	synctest.Wait()
}

// called explains the ScaledObject shop/uses-NAME, whose trigger names a policy, after KEDA has
// called.
func (b *bench) called(name string) string {
	b.Helper()
	ref := &pbkeda.ScaledObjectRef{Namespace: "shop", Name: "uses-" + name, ScalerMetadata: map[string]string{"scalerAddress": "scaler:9090", "policy": name}}
	// An error is part of what is explained.
	_, _ = b.server.GetMetrics(b.Context(), &pbkeda.GetMetricsRequest{ScaledObjectRef: ref})
	response, err := b.inspector.Explain(b.Context(), &pb.ExplainRequest{Namespace: "shop", ScaledObject: "uses-" + name})
	if err != nil {
		return err.Error() + "\n"
	}
	present(response)
	var text strings.Builder
	if err := explain.Text(&text, response); err != nil {
		b.Fatal(err)
	}
	return text.String()
}

// policy explains the policy itself.
func (b *bench) policy() string {
	b.Helper()
	response, err := b.inspector.ExplainPolicy(b.Context(), &pb.ExplainPolicyRequest{Namespace: "shop", Name: "billing"})
	if err != nil {
		return err.Error() + "\n"
	}
	present(response)
	var text strings.Builder
	if err := explain.PolicyText(&text, response); err != nil {
		b.Fatal(err)
	}
	return text.String()
}

// Lengths of time and the causes of reads differ from run to run, because reads are spread.
var (
	aSpan     = regexp.MustCompile(`\b\d+(\.\d+)? (s|min|h)\b`)
	aDuration = regexp.MustCompile(`\b(\d+m)?\d+s\b`)
	aCause    = regexp.MustCompile(`(last attempt T ago) \([a-z-]+\)`)
)

// golden compares a text with a file, apart from these. With -update it writes the file.
func (b *bench) golden(name, got string) {
	b.Helper()
	got = aDuration.ReplaceAllString(aSpan.ReplaceAllString(got, "T"), "T")
	got = aCause.ReplaceAllString(got, "$1 (CAUSE)")
	file := filepath.Join("testdata", "policy", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			b.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		b.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// inSteps is a policy with all that a decision may wait for.
func inSteps(p *policies.Policy) {
	p.Jump = policies.JumpFloor
	p.Spec.Up = &policy.StepUp{Pods: 4, Period: 30 * time.Second, ReadyPercent: 75, StuckAfter: 10 * time.Minute}
	p.Spec.Down = &policy.StepDown{Pods: 2, Period: time.Minute, Hold: 5 * time.Minute}
	p.Spec.Busy = &policy.BusyPods{Keep: policy.Strict, GiveUpAfter: 20 * time.Minute}
	p.Spec.Limiters = []policy.Limiter{
		{Name: "database", When: "orders > 5000", Until: "orders < 500"},
		{Name: "licences", When: "current >= 4", Action: policy.Lower, Ceiling: "30"},
	}
	opened, floor := time.Now().Add(-time.Hour), int32(8)
	p.Spec.Schedules = []schedule.Spec{{Name: "sale", TimeZone: "UTC", From: opened, Until: opened.Add(3 * time.Hour), Floor: &floor}}
}

func TestExplainPolicy(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 90)
		b.set()
		b.golden("workload-unread", b.policy())
		b.target(4, 4)
		time.Sleep(time.Second)
		b.golden("plain", b.called("billing"))
		b.golden("plain-policy", b.policy())
	})
}

func TestExplainWhatAStepWaitsFor(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 2000)
		b.set(inSteps)
		pods := policy.Pods{Known: true, All: make([]policy.Pod, 4)}
		pods.All[0] = policy.Pod{Busy: true, Scheduled: true, Running: true, Ready: true}
		changed := time.Now()
		b.target(4, 2, func(t *policies.Target) {
			t.Pods, t.LastScale, t.HeldUntil = pods, changed, changed.Add(20*time.Second)
		})
		time.Sleep(10 * time.Second)
		b.golden("period", b.policy())
		time.Sleep(50 * time.Second)
		b.golden("not-ready", b.policy())
		time.Sleep(10 * time.Minute)
		b.golden("stuck", b.called("billing"))
		b.fake.SetReady("orders", 6000)
		time.Sleep(time.Second)
		b.golden("frozen", b.policy())
		b.fake.SetReady("orders", 0)
		time.Sleep(time.Minute)
		b.golden("hold", b.policy())
		b.target(12, 12, func(t *policies.Target) { t.LastScale = time.Now() })
		time.Sleep(6 * time.Minute)
		b.golden("busy", b.policy())
	})
}

func TestExplainUnknownSignals(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 90)
		b.set(func(p *policies.Policy) {
			p.Spec.Formula = "max(need.orders, 2) +\n  (mails > 3 ? 1 : 0)"
			p.Spec.Signals = append(p.Spec.Signals,
				policy.Signal{Name: "mails", MaxStaleness: time.Minute, WhenUnknown: policy.UseValue, Value: 7, Target: 1},
				policy.Signal{Name: "reports", MaxStaleness: time.Minute, WhenUnknown: policy.Ignore})
			p.Signals = append(p.Signals,
				policies.Signal{Name: "mails", Connection: "main", Trigger: map[string]string{"queue": "mails"}, Interval: 15 * time.Second},
				policies.Signal{Name: "reports", Connection: "main", Trigger: map[string]string{"queue": "reports"}, Interval: 15 * time.Second})
		})
		b.target(5, 5)
		time.Sleep(time.Second)
		b.golden("formula", b.policy())
		b.fake.Fail(errors.Join(backlog.ErrUnavailable, errors.New("refused")))
		time.Sleep(90 * time.Second)
		b.golden("stale", b.called("billing"))
		time.Sleep(time.Minute)
		b.golden("holding", b.called("billing"))
	})
}

func TestExplainPoliciesThatAnswerNothing(t *testing.T) {
	withBench(t, func(b *bench) {
		b.golden("none", b.policy())
		b.fake.SetReady("orders", 90)
		b.set()
		b.target(4, 4)
		b.golden("missing", b.called("biling"))
		b.set(func(p *policies.Policy) { p.Mode = policies.Observe })
		b.golden("observe", b.called("billing"))
		b.set(func(p *policies.Policy) { p.Via = policies.ViaScale })
		b.golden("scale", b.policy())
		b.set(func(p *policies.Policy) {
			p.Signals[0].Trigger = map[string]string{"queue": "orders", "tagret": "hunter2"}
			p.Spec.Formula = "need.order"
		})
		text := b.called("billing")
		if strings.Contains(text, "hunter2") {
			b.Errorf("the value of an unknown key may be a secret:\n%s", text)
		}
		b.golden("mistakes", text)
	})
}

func TestExplainALearnedThroughput(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.Set("orders", backlog.Reading{Ready: 600, Enqueued: backlog.Exactly(600), Dequeued: backlog.Exactly(0), InFlight: backlog.Exactly(0)})
		b.set(func(p *policies.Policy) {
			p.Signals[0].Trigger = map[string]string{
				"queue": "orders", "drainTime": "60s", "throughput": "learned", "throughputFloor": "0.5", "throughputCeiling": "3",
			}
		})
		b.target(2, 2)
		time.Sleep(time.Second)
		b.golden("learning", b.policy())
		for done := range int64(120) {
			time.Sleep(time.Second)
			b.fake.Set("orders", backlog.Reading{
				Ready: 600, Enqueued: backlog.Exactly(8*done + 600), Dequeued: backlog.Exactly(8 * done), InFlight: backlog.Exactly(0),
			})
		}
		time.Sleep(500 * time.Millisecond)
		// What is measured depends on the moments of the reads.
		if text := b.policy(); !strings.Contains(text, "a replica finishes 3/s: learned, between 0.5/s and 3/s, measured 3.9") {
			b.Errorf("the ceiling counts:\n%s", text)
		}
	})
}

func TestUnknownPolicies(t *testing.T) {
	withBench(t, func(b *bench) {
		ask := func(namespace, name string) string {
			b.Helper()
			_, err := b.inspector.ExplainPolicy(b.Context(), &pb.ExplainPolicyRequest{Namespace: namespace, Name: name})
			if status.Code(err) != codes.NotFound {
				b.Errorf("%s/%s: %v", namespace, name, err)
			}
			return status.Convert(err).Message()
		}
		if got, want := ask("shop", "billing"), "this replica knows no AutoscalerPolicy shop/billing, nor any other"; got != want {
			b.Errorf("%q, want %q", got, want)
		}
		b.set()
		for name, want := range map[string]string{
			"biling":     "this replica knows no AutoscalerPolicy shop/biling, did you mean shop/billing?",
			"completely": "this replica knows no AutoscalerPolicy shop/completely; known in this namespace: shop/billing",
		} {
			if got := ask("shop", name); got != want {
				b.Errorf("%q, want %q", got, want)
			}
		}
		if got, want := ask("elsewhere-entirely", "x"), "this replica knows no AutoscalerPolicy elsewhere-entirely/x; known: shop/billing"; got != want {
			b.Errorf("%q, want %q", got, want)
		}
		without := New(b.server, noConnections{}, nil, func() error { return nil })
		_, err := without.ExplainPolicy(b.Context(), &pb.ExplainPolicyRequest{Namespace: "shop", Name: "billing"})
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "--policies") {
			b.Errorf("without policies: %v", err)
		}
	})
}
