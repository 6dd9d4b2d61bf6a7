package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/schedule"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

var billing = policies.Key{Namespace: "shop", Name: "billing"}

// A bench is a runner on a sampler with an engine in memory, in a bubble of synctest time.
type bench struct {
	*testing.T
	fake    *backlogtest.Fake
	sampler *sampler.Sampler
	runner  *runner.Runner
}

// An observer is the sampler with the interface of the runner.
type observer struct{ *sampler.Sampler }

func (o observer) Notify(want backlog.Interest, changed func()) (runner.Observed, error) {
	sub, err := o.Sampler.Notify(want, changed)
	if err != nil {
		return nil, err
	}
	return sub, nil
}

func connections() []backlog.Connection {
	return []backlog.Connection{
		{Name: "main", Engine: "fake", Namespaces: []string{"shop"}},
		{Name: "private", Engine: "fake", Namespaces: []string{"other"}},
	}
}

func withBench(t *testing.T, test func(*bench)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := backlogtest.NewFake()
		engines := []backlog.Engine{fake.Engine()}
		s := sampler.New(engines, sampler.Options{})
		defer s.Close()
		if err := s.Apply(t.Context(), connections()); err != nil {
			t.Fatal(err)
		}
		r := runner.New(observer{s}, trigger.NewCatalog(connections(), engines).WithPolicies(), time.Now)
		defer r.Close()
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { defer close(stopped); r.Run(ctx) }()
		defer func() { cancel(); <-stopped }()
		test(&bench{T: t, fake: fake, sampler: s, runner: r})
	})
}

// A change changes a policy before it is set.
type change func(*policies.Policy)

// set sets the policy billing: one replica for each 5 messages of the queue orders, at most 40.
func (b *bench) set(changes ...change) {
	b.Helper()
	p := policies.Policy{
		Key: billing, Generation: 1, Mode: policies.Enforce, Via: policies.ViaKEDA,
		Spec: policy.Spec{MaxReplicas: 40, Signals: []policy.Signal{{Name: "orders", MaxStaleness: 2 * time.Minute}}},
		Signals: []policies.Signal{{
			Name: "orders", Connection: "main", Trigger: map[string]string{"queue": "orders", "target": "5"}, Interval: 15 * time.Second,
		}},
	}
	for _, change := range changes {
		change(&p)
	}
	b.runner.Set(p)
	synctest.Wait()
}

// target says how many replicas the workload has.
func (b *bench) target(replicas int32) {
	b.Helper()
	b.runner.SetTarget("shop", "billing", policies.Target{Target: policy.Target{Replicas: replicas, Available: replicas}})
	synctest.Wait()
}

// outcome returns the present outcome.
func (b *bench) outcome() policies.Outcome {
	b.Helper()
	synctest.Wait()
	outcome, ok := b.runner.Outcome("shop", "billing")
	if !ok {
		b.Fatal("nothing was decided")
	}
	return outcome
}

// want checks the number of replicas.
func (b *bench) want(what string, replicas int32) {
	b.Helper()
	outcome := b.outcome()
	if !outcome.Decided() || outcome.Replicas != replicas {
		b.Fatalf("%s: %d replicas, error %v, problems %v; want %d", what, outcome.Replicas, outcome.Err, outcome.Problems, replicas)
	}
}

// wantError checks that there is no number, and why.
func (b *bench) wantError(what string, kind error, parts ...string) {
	b.Helper()
	outcome := b.outcome()
	if outcome.Err == nil || kind != nil && !errors.Is(outcome.Err, kind) {
		b.Fatalf("%s: error %v, %d replicas; want %v", what, outcome.Err, outcome.Replicas, kind)
	}
	for _, part := range parts {
		if !strings.Contains(outcome.Err.Error(), part) {
			b.Errorf("%s: error %q lacks %q", what, outcome.Err, part)
		}
	}
}

func TestDecidesWhenAQueueChanges(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 0)
		b.set()
		b.target(0)
		b.want("no messages", 0)
		b.fake.SetReady("orders", 23)
		time.Sleep(50 * time.Millisecond)
		b.want("23 messages, by an event", 5)
		b.fake.SetReady("orders", 10_000)
		time.Sleep(time.Second)
		b.want("more than the largest number", 40)
		b.fake.SetReady("orders", 0)
		time.Sleep(time.Second)
		b.want("no messages again", 0)
	})
}

func TestNothingIsDecidedWithoutTheWorkload(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 23)
		b.set()
		b.wantError("before the first look", nil, "has not been read")
		b.runner.SetTarget("shop", "billing", policies.Target{Err: errors.New("no Deployment \"billing\"")})
		b.wantError("without a workload", nil, `no Deployment "billing"`)
		b.target(2)
		b.want("with a workload", 5)
	})
}

func TestUnknownIsNeverZero(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.Fail(backlog.ErrUnavailable)
		b.set()
		b.target(4)
		b.wantError("never read", policy.ErrUnknown, "orders", "unavailable")
		b.fake.Fail(nil)
		b.fake.SetReady("orders", 20)
		time.Sleep(30 * time.Second)
		b.want("read", 4)
		b.fake.Fail(backlog.ErrUnavailable)
		time.Sleep(time.Minute)
		b.want("the last good value", 4)
		time.Sleep(90 * time.Second)
		b.wantError("no value for longer than maxStaleness", policy.ErrUnknown, "orders: last read 2m")
		b.fake.Fail(nil)
		time.Sleep(30 * time.Second)
		b.want("read again", 4)
	})
}

func TestARemovedConnectionIsUnknown(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 20)
		b.set()
		b.target(4)
		b.want("read", 4)
		if err := b.sampler.Apply(b.Context(), connections()[1:]); err != nil {
			b.Fatal(err)
		}
		b.wantError("the connection is removed", policy.ErrUnknown, "removed")
		b.runner.SetCatalog(trigger.NewCatalog(connections()[1:], []backlog.Engine{b.fake.Engine()}))
		if problems := b.outcome().Problems; len(problems) != 1 || problems[0].Kind != policies.InConnection {
			b.Errorf("problems %v, want the missing connection", problems)
		}
		if err := b.sampler.Apply(b.Context(), connections()); err != nil {
			b.Fatal(err)
		}
		b.runner.SetCatalog(trigger.NewCatalog(connections(), []backlog.Engine{b.fake.Engine()}))
		b.want("the connection is back", 4)
	})
}

func TestDecidesWhenAWindowOpens(t *testing.T) {
	withBench(t, func(b *bench) {
		floor := int32(8)
		b.fake.SetReady("orders", 0)
		opens := time.Now().Add(time.Hour)
		b.set(func(p *policies.Policy) {
			p.Spec.Schedules = []schedule.Spec{{Name: "sale", TimeZone: "UTC", From: opens, Until: opens.Add(time.Hour), Floor: &floor}}
		})
		b.target(0)
		sub := b.runner.Follow(billing)
		defer sub.Close()
		b.want("before", 0)
		time.Sleep(time.Hour - time.Second)
		b.want("a second before", 0)
		drain(sub.Changed())
		select {
		case <-sub.Changed():
		case <-time.After(time.Minute):
			b.Fatal("no notification")
		}
		if late := time.Since(opens); late < 0 || late > time.Millisecond {
			b.Errorf("notified %s after the window opened", late)
		}
		b.want("open", 8)
		time.Sleep(time.Hour)
		b.want("closed", 0)
	})
}

func drain(changed <-chan struct{}) {
	select {
	case <-changed:
	default:
	}
}

// After a jump the HPA takes replicas back that are not reported at its next sync.
func TestHoldsAJump(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 200)
		b.set()
		b.target(1)
		b.want("before", 40)
		held := time.Now().Add(31 * time.Second)
		b.runner.SetTarget("shop", "billing", policies.Target{Target: policy.Target{Replicas: 40}, HeldUntil: held})
		b.fake.SetReady("orders", 0)
		time.Sleep(time.Second)
		b.want("the work is gone", 40)
		if b.outcome().Decision.Active {
			t.Error("a workload whose work is done is active because of a number that is held")
		}
		time.Sleep(time.Until(held) + time.Millisecond)
		b.want("after two syncs", 0)
	})
}

func TestReportsEveryProblem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change change
		kind   policies.Kind
		want   string
	}{
		"a key":         {func(p *policies.Policy) { p.Signals[0].Trigger["targett"] = "5" }, policies.InSignal, `did you mean "target"`},
		"a connection":  {func(p *policies.Policy) { p.Signals[0].Connection = "mian" }, policies.InConnection, `did you mean "main"`},
		"a foreign one": {func(p *policies.Policy) { p.Signals[0].Connection = "private" }, policies.InConnection, "no connection"},
		"a formula":     {func(p *policies.Policy) { p.Spec.Formula = "need.order" }, policies.InFormula, "orders"},
		"a schedule": {func(p *policies.Policy) {
			p.Spec.Schedules = []schedule.Spec{{Name: "night", TimeZone: "Europe/Berln", Start: "0 22 * * *", Duration: 8 * time.Hour, Ceiling: new(int32(2))}}
		}, policies.InSchedule, "Europe/Berlin"},
		"a bound":          {func(p *policies.Policy) { p.Spec.MinReplicas = 50 }, policies.InSpec, "minReplicas 50"},
		"two targets":      {func(p *policies.Policy) { p.Spec.Signals[0].Target = 4 }, policies.InSignal, "one of the two"},
		"staleness within": {func(p *policies.Policy) { p.Signals[0].Trigger["maxStaleness"] = "1m" }, policies.InSignal, "next to trigger"},
		"an environment":   {func(p *policies.Policy) { p.Signals[0].Trigger["targetFromEnv"] = "TARGET" }, policies.InSignal, "the value itself under target"},
		"converted": {func(p *policies.Policy) {
			p.Problems = []policies.Problem{{Kind: policies.InSpec, Err: errors.New("jump")}}
		}, policies.InSpec, "jump"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			withBench(t, func(b *bench) {
				b.set(test.change)
				b.target(3)
				outcome := b.outcome()
				if len(outcome.Problems) != 1 || outcome.Decided() {
					b.Fatalf("problems %v, want one", outcome.Problems)
				}
				if problem := outcome.Problems[0]; problem.Kind != test.kind || !strings.Contains(problem.Err.Error(), test.want) {
					b.Errorf("kind %d, %q; want kind %d and %q", problem.Kind, problem.Err, test.kind, test.want)
				}
			})
		})
	}
}

func TestAnswersTriggers(t *testing.T) {
	withBench(t, func(b *bench) {
		answer := func(key policies.Key, kind error, part string) {
			b.Helper()
			_, err := b.runner.Answer(key)
			if !errors.Is(err, kind) || err != nil && !strings.Contains(err.Error(), part) {
				b.Errorf("error %v, want %v with %q", err, kind, part)
			}
		}
		answer(billing, runner.ErrUnread, "")
		b.runner.Synced()
		answer(billing, policies.ErrNoPolicy, `namespace "shop"`)
		b.fake.SetReady("orders", 5)
		b.set()
		b.target(1)
		answer(policies.Key{Namespace: "shop", Name: "biling"}, policies.ErrNoPolicy, `did you mean "billing"?`)
		answer(policies.Key{Namespace: "other", Name: "biling"}, policies.ErrNoPolicy, `namespace "other"`)
		if outcome, err := b.runner.Answer(billing); err != nil || outcome.Replicas != 1 {
			b.Errorf("%d replicas, error %v; want 1", outcome.Replicas, err)
		}
		b.set(func(p *policies.Policy) { p.Mode = policies.Observe })
		answer(billing, policies.ErrNotAnswering, "mode: Observe")
		b.set(func(p *policies.Policy) { p.Via = policies.ViaScale })
		answer(billing, policies.ErrNotAnswering, "via: Scale")
		b.runner.Remove("shop", "billing")
		answer(billing, policies.ErrNoPolicy, `namespace "shop"`)
	})
}

func TestDeliversEachChangeOnce(t *testing.T) {
	withBench(t, func(b *bench) {
		delivered := func(what string, want int) {
			b.Helper()
			n := 0
			for {
				synctest.Wait()
				select {
				case key := <-b.runner.Changed():
					if key != billing {
						b.Fatalf("%s: delivered %s", what, key)
					}
					n++
					continue
				default:
				}
				break
			}
			if n != want {
				b.Errorf("%s: delivered %d times, want %d", what, n, want)
			}
		}
		b.fake.SetReady("orders", 5)
		b.set()
		b.target(1)
		delivered("set and decided", 1)
		time.Sleep(10 * time.Minute)
		delivered("no change", 0)
		b.fake.SetReady("orders", 10)
		time.Sleep(time.Second)
		b.fake.SetReady("orders", 15)
		time.Sleep(time.Second)
		delivered("two changes before the next receive", 1)
		b.runner.Remove("shop", "billing")
		delivered("removed", 1)
	})
}
