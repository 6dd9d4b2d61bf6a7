package runner_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// sparing has a policy spare the workers of the queue of a signal, strictly and without end.
func sparing(signal string) change {
	return func(p *policies.Policy) {
		p.Spec.Busy, p.Workers = &policy.BusyPods{Keep: policy.Strict}, &policies.Workers{Signal: signal}
	}
}

// wantWorkers checks what is known of workers; nil is nothing.
func (b *bench) wantWorkers(what string, want map[string]bool) {
	b.Helper()
	synctest.Wait()
	busy, err := b.runner.BusyWorkers("shop", "billing")
	if (err == nil) != (want != nil) || !maps.Equal(busy, want) {
		b.Fatalf("%s: the workers are %v with the error %v; want %v", what, busy, err, want)
	}
}

// taken returns how often Changed delivers.
func (b *bench) taken() int {
	b.Helper()
	for n := 0; ; n++ {
		synctest.Wait()
		select {
		case <-b.runner.Changed():
		default:
			return n
		}
	}
}

// TestWorkersAreReadWhileReplicasFall: nothing is read of them before. While replicas fall they are read in each second, a change
// is delivered, and a failure counts once the last reading is old. Afterwards nothing is known.
func TestWorkersAreReadWhileReplicasFall(t *testing.T) {
	withBench(t, func(b *bench) {
		b.fake.SetReady("orders", 10)
		b.fake.SetWorkers("orders", map[string]bool{"a": true, "b": false})
		b.set(sparing(""))
		b.target(2)
		time.Sleep(time.Minute)
		b.want("two are needed", 2)
		b.wantWorkers("replicas do not fall", nil)

		b.taken()
		b.fake.SetReady("orders", 0)
		time.Sleep(3 * time.Second)
		b.want("all may be busy", 2)
		b.wantWorkers("replicas fall", map[string]bool{"a": true, "b": false})
		if b.taken() == 0 {
			b.Error("what is known of the workers was not delivered")
		}
		time.Sleep(5 * time.Minute)
		if n := b.taken(); n != 0 {
			b.Errorf("delivered %d times although nothing changed", n)
		}
		b.fake.SetWorkers("orders", map[string]bool{"a": false, "b": false})
		time.Sleep(3 * time.Second)
		b.wantWorkers("a is done", map[string]bool{"a": false, "b": false})
		if n := b.taken(); n != 1 {
			b.Errorf("a change of workers was delivered %d times", n)
		}

		b.fake.Fail(backlog.ErrUnavailable)
		time.Sleep(5 * time.Second)
		b.wantWorkers("a failure", map[string]bool{"a": false, "b": false})
		time.Sleep(8 * time.Second)
		b.wantWorkers("a failure for more than ten seconds", nil)
		if _, err := b.runner.BusyWorkers("shop", "billing"); !errors.Is(err, backlog.ErrUnavailable) {
			b.Errorf("the reason is %v, want that of the engine", err)
		}
		if b.taken() == 0 {
			b.Error("not delivered that nothing is known any more")
		}
		b.fake.Fail(nil)
		time.Sleep(10 * time.Second)
		b.wantWorkers("the queue is back", map[string]bool{"a": false, "b": false})

		b.fake.SetReady("orders", 10)
		time.Sleep(3 * time.Second)
		b.wantWorkers("they are needed", nil)
		b.fake.SetReady("orders", 0)
		time.Sleep(3 * time.Second)
		b.wantWorkers("replicas fall again", map[string]bool{"a": false, "b": false})
		b.set(sparing("orders"))
		time.Sleep(time.Second)
		b.wantWorkers("the policy was changed", map[string]bool{"a": false, "b": false})
		b.runner.Remove("shop", "billing")
		b.wantWorkers("no policy", nil)
		if _, err := b.runner.BusyWorkers("shop", "billing"); !errors.Is(err, policies.ErrWorkersUnread) {
			b.Errorf("the reason is %v", err)
		}
	})
}

// TestWorkersOfWhichSignal: a mistake names the signals, and says what to do instead.
func TestWorkersOfWhichSignal(t *testing.T) {
	t.Parallel()
	anonymous := func(name string) change {
		return func(p *policies.Policy) {
			p.Spec.Signals = append(p.Spec.Signals, policy.Signal{Name: name, MaxStaleness: time.Minute})
			p.Signals = append(p.Signals, policies.Signal{
				Name: name, Connection: "main", Interval: 15 * time.Second,
				Trigger: map[string]string{"queue": name, "target": "5", "consumerGroup": "anonymous"},
			})
		}
	}
	second := func(p *policies.Policy) {
		anonymous("mails")(p)
		delete(p.Signals[1].Trigger, "consumerGroup")
	}
	only := func(p *policies.Policy) {
		anonymous("mails")(p)
		p.Spec.Signals, p.Signals = p.Spec.Signals[1:], p.Signals[1:]
	}
	for name, tc := range map[string]struct {
		changes []change
		want    []string
	}{
		"the only one that can": {[]change{anonymous("mails"), sparing("")}, nil},
		"named":                 {[]change{second, sparing("mails")}, nil},
		"several":               {[]change{second, sparing("")}, []string{"busyPods.signal: missing", "orders, mails"}},
		"no such signal":        {[]change{second, sparing("order")}, []string{`busyPods.signal "order"`, `did you mean "orders"?`, "mails"}},
		"one that cannot":       {[]change{anonymous("mails"), sparing("mails")}, []string{`busyPods.signal "mails"`, "anonymous", "from: HTTP"}},
		"none can":              {[]change{only, sparing("")}, []string{"busyPods.from Queue", "signals[mails]", "anonymous", "from: HTTP"}},
		"no signals": {
			[]change{func(p *policies.Policy) { p.Spec.Signals, p.Signals = nil, nil }, sparing("")},
			[]string{"busyPods.from Queue", "no signal"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			withBench(t, func(b *bench) {
				b.set(tc.changes...)
				problems := b.outcome().Problems
				if tc.want == nil {
					if len(problems) > 0 {
						b.Fatalf("problems %v, want none", problems)
					}
					return
				}
				for _, p := range problems {
					if p.Kind == policies.InSignal && containsAll(p.Err.Error(), tc.want) {
						return
					}
				}
				b.Errorf("problems %v, want one with %q", problems, tc.want)
			})
		})
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
