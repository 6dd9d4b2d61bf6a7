package server_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// answers are policies that say what a test sets.
type answers struct {
	mu        sync.Mutex // guards what follows
	outcome   policies.Outcome
	err       error
	followers map[*follower]bool
}

type follower struct {
	answers *answers
	changed chan struct{}
}

func (f *follower) Changed() <-chan struct{} { return f.changed }

func (f *follower) Close() {
	f.answers.mu.Lock()
	defer f.answers.mu.Unlock()
	delete(f.answers.followers, f)
}

func (a *answers) Answer(key policies.Key) (policies.Outcome, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if key != (policies.Key{Namespace: "shop", Name: "billing"}) {
		return policies.Outcome{}, policies.ErrNoPolicy
	}
	return a.outcome, a.err
}

func (a *answers) Follow(policies.Key) server.PolicySubscription {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := &follower{a, make(chan struct{}, 1)}
	a.followers[f] = true
	return f
}

// set sets the answer and notifies the streams.
func (a *answers) set(outcome policies.Outcome, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.outcome, a.err = outcome, err
	for f := range a.followers {
		select {
		case f.changed <- struct{}{}:
		default:
		}
	}
}

// inWorldOfPolicies is inWorld with policies.
func inWorldOfPolicies(t *testing.T, test func(world, *answers)) {
	t.Helper()
	a := &answers{followers: make(map[*follower]bool)}
	inWorld(t, server.Options{Policies: a}, func(w world) {
		w.server.SetCatalog(trigger.NewCatalog(connections(), []backlog.Engine{w.fake.Engine()}).WithPolicies())
		test(w, a)
	})
}

func policyRef(name string) *pb.ScaledObjectRef {
	return &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: map[string]string{"scalerAddress": "scaler:9090", "policy": name}}
}

func replicas(n int32) policies.Outcome {
	return policies.Outcome{Replicas: n, Decision: policy.Decision{Replicas: n, Active: n > 0}}
}

func TestPolicyAnswersReplicas(t *testing.T) {
	inWorldOfPolicies(t, func(w world, a *answers) {
		spec, err := w.client.GetMetricSpec(w.Context(), policyRef("billing"))
		if err != nil {
			t.Fatal(err)
		}
		if s := spec.GetMetricSpecs()[0]; s.GetMetricName() != "policy-billing" || s.GetTargetSizeFloat() != 1 || s.GetTargetSize() != 1 {
			t.Errorf("spec %v, want policy-billing with target 1", s)
		}
		for _, n := range []int32{0, 1, 40} {
			a.set(replicas(n), nil)
			if value := w.value(policyRef("billing")); value.GetMetricValueFloat() != float64(n) || value.GetMetricValue() != int64(n) {
				t.Errorf("value %v, want %d", value, n)
			}
			if active := w.isActive(policyRef("billing")); active != (n > 0) {
				t.Errorf("active is %t with %d replicas", active, n)
			}
		}
		// KEDA would delete all pods at once.
		a.set(policies.Outcome{Decision: policy.Decision{Active: true}}, nil)
		if !w.isActive(policyRef("billing")) {
			t.Error("inactive while a busy pod is spared")
		}
		// The number of a jump is held for the HPA, which writes nothing at zero.
		a.set(policies.Outcome{Replicas: 40}, nil)
		if w.isActive(policyRef("billing")) {
			t.Error("active without work, because of a number that is held")
		}
	})
}

func TestPolicyWithoutReplicasIsAnError(t *testing.T) {
	tests := map[string]struct {
		name    string
		outcome policies.Outcome
		err     error
		code    codes.Code
		text    string
	}{
		"unknown":       {name: "other", code: codes.NotFound, text: `policy "other": no such AutoscalerPolicy`},
		"not answering": {err: policies.ErrNotAnswering, code: codes.FailedPrecondition, text: "answers no trigger"},
		"a mistake": {
			outcome: policies.Outcome{Problems: []policies.Problem{{Err: errors.New("minReplicas 9: want at most 5")}}},
			code:    codes.FailedPrecondition, text: "minReplicas 9",
		},
		"no number":           {outcome: policies.Outcome{Err: policy.ErrUnknown}, code: codes.Unavailable, text: "no number of replicas: signal unknown"},
		"a deadline passed":   {outcome: policies.Outcome{Err: context.DeadlineExceeded}, code: codes.Unavailable, text: "no number of replicas"},
		"a broker is removed": {outcome: policies.Outcome{Err: backlog.ErrUnavailable}, code: codes.Unavailable, text: "unavailable"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorldOfPolicies(t, func(w world, a *answers) {
				a.set(test.outcome, test.err)
				if test.name == "" {
					test.name = "billing"
				}
				_, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: policyRef(test.name)})
				if status.Code(err) != test.code || !strings.Contains(err.Error(), test.text) {
					t.Errorf("error %v, want %s with %q", err, test.code, test.text)
				}
				if _, err := w.client.IsActive(w.Context(), policyRef(test.name)); status.Code(err) != test.code {
					t.Errorf("error %v of IsActive, want %s", err, test.code)
				}
			})
		})
	}
}

func TestPolicyIsPushed(t *testing.T) {
	inWorldOfPolicies(t, func(w world, a *answers) {
		a.set(replicas(0), nil)
		ctx, cancel := context.WithCancel(w.Context())
		events, ended := w.record(ctx, policyRef("billing"))
		time.Sleep(3 * time.Second)
		a.set(replicas(40), nil)
		synctest.Wait()
		if got := events(); len(got) != 2 || got[0].Active || !got[1].Active || got[1].After != 3*time.Second {
			t.Errorf("events %v, want inactive, then active at once after 3s", got)
		}
		a.set(policies.Outcome{}, policies.ErrNoPolicy)
		time.Sleep(time.Minute)
		if got := events(); !got[len(got)-1].Active {
			t.Error("a policy that is gone made the trigger inactive")
		}
		cancel()
		if err := <-ended; status.Code(err) != codes.Canceled {
			t.Errorf("ended with %v", err)
		}
		synctest.Wait()
		if len(a.followers) != 0 {
			t.Errorf("%d subscriptions are left", len(a.followers))
		}
	})
}

func TestPolicyNeedsTheFlag(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		_, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: policyRef("billing")})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "--policies") {
			t.Errorf("error %v, want one that names the flag", err)
		}
	})
}
