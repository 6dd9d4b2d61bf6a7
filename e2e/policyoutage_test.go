package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs/logstest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus/prometheustest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// signalsLost stops a Prometheus, a VictoriaLogs and an HTTP endpoint while five replicas run by each of them: after
// maxStaleness the signal is unknown, and no replica is lost. When the endpoint answers again, scaling goes on.
func (s *policySuite) signalsLost(t *testing.T) {
	namespace := s.namespace(t, "signals-lost")
	metrics, entries, endpoint := prometheustest.Start(t), logstest.StartVictoriaLogs(t), startEndpoint(t, 25)
	metrics.Set(t, "jobs", 25)
	for range 25 {
		entries.Add(t, "", logstest.Entry{At: time.Now(), Text: "failed", Fields: map[string]string{"app": "shop", "namespace": namespace}})
	}
	own := s.startPolicyScaler(t, "scaler-signals", s.access, "", map[string]scaler.Connection{
		"metrics":  {Engine: "prometheus", Namespaces: []string{namespace}, URL: metrics.URL},
		"logs":     {Engine: "logs", Server: "victorialogs", Namespaces: []string{namespace}, URL: entries.URL},
		"endpoint": {Engine: "http", Namespaces: []string{namespace}, URL: "http://" + endpoint.address},
	}, namespace)
	triggers := map[string]map[string]v1alpha1.TriggerValue{
		"metrics":  {"query": "jobs"},
		"logs":     {"query": `app:="shop"`, "window": "1h"},
		"endpoint": {"path": "/v1/expected", "value": "$.jobs"},
	}
	workloads := make(map[string]*workload.Workload, len(triggers))
	for name, trigger := range triggers {
		s.policy(t, namespace, name, func(p *v1alpha1.AutoscalerPolicySpec) {
			p.Signals = []v1alpha1.Signal{{Name: "jobs", Connection: name, Trigger: trigger, Target: "5", Interval: "1s", MaxStaleness: "5s"}}
		})
		options := policyOptions(own.Address(), namespace, name)
		options.PollingInterval = 7 * time.Second // out of step with the HPA: see outage
		workloads[name] = s.workload(t, options)
	}
	for _, w := range workloads {
		s.reach(t, w, time.Now(), 2*time.Minute, 5)
	}
	lost := time.Now()
	metrics.Stop()
	entries.Kill()
	endpoint.stop(t)
	for name := range workloads {
		s.condition(t, namespace, name, v1alpha1.ConditionSignalsKnown, "False/"+v1alpha1.ReasonHolding)
	}
	s.pause(t, 2*hpaSync)
	for name, w := range workloads {
		if changes := replicasOf(w.Since(lost)); len(changes) != 1 || changes[0] != 5 {
			t.Errorf("%s: replicas %v while the signal is unknown, want 5 all the time", name, changes)
		}
		if n := s.events(t, namespace, name)["SignalUnknown"]; n != 1 {
			t.Errorf("%s: SignalUnknown was written %d times, want once", name, n)
		}
	}
	endpoint.number.Store(40)
	endpoint.start(t)
	s.reach(t, workloads["endpoint"], time.Now(), 2*time.Minute, 8)
	s.condition(t, namespace, "endpoint", v1alpha1.ConditionSignalsKnown, "True/"+v1alpha1.ReasonKnown)
}

// An endpoint answers a number in JSON, and can be stopped and started again at the same address.
type endpoint struct {
	number  atomic.Int64
	address string
	server  *http.Server
	ended   chan struct{}
}

func startEndpoint(t *testing.T, number int64) *endpoint {
	t.Helper()
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	check(t, err)
	e := &endpoint{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))}
	e.number.Store(number)
	e.start(t)
	t.Cleanup(func() { e.stop(t) })
	return e
}

func (e *endpoint) start(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", e.address)
	check(t, err)
	e.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"jobs": %d}`, e.number.Load())
	})}
	e.ended = make(chan struct{})
	go func(server *http.Server, ended chan struct{}) {
		defer close(ended)
		_ = server.Serve(listener) // ends with stop
	}(e.server, e.ended)
}

func (e *endpoint) stop(t *testing.T) {
	t.Helper()
	check(t, e.server.Close())
	<-e.ended
}

// kedaRestarted kills KEDA while five replicas run by a policy: no replica is lost, and scaling goes on afterwards.
func (s *policySuite) kedaRestarted(t *testing.T) {
	const namespace, name = "e2e-keda-restarted", "keda-restarted"
	s.policy(t, namespace, name)
	w := s.scaledBy(t, s.scaler.Address(), namespace, name)
	check(t, s.redis.Push(s.ctx, name, 25))
	s.reach(t, w, time.Now(), 2*time.Minute, 5)
	killed := time.Now()
	check(t, s.stage.Cluster.RestartKEDA(s.ctx))
	s.hold(t, w, killed, hpaSync, 5)
	check(t, s.redis.Push(s.ctx, name, 15))
	s.took(t, "KEDA restarted", "5 to 8 afterwards", s.reach(t, w, time.Now(), 2*time.Minute, 8))
	if changes := replicasOf(w.Since(killed)); len(changes) != 2 {
		t.Errorf("replicas %v, want 5 and then 8", changes)
	}
}

// apiServerAway kills the API server over the start of a window. Both replicas of the scaler answer KEDA by the window at
// that time, because they decide by what they know. When the API server is back the replicas and the status follow, and a
// workload that had replicas has lost none.
func (s *policySuite) apiServerAway(t *testing.T) {
	const namespace, steady, scheduled = "e2e-away", "steady", "scheduled"
	s.policy(t, namespace, steady)
	s.policy(t, namespace, scheduled)
	running, waiting := s.scaledBy(t, s.scaler.Address(), namespace, steady), s.scaledBy(t, s.scaler.Address(), namespace, scheduled)
	check(t, s.redis.Push(s.ctx, steady, 25))
	s.reach(t, running, time.Now(), 2*time.Minute, 5)
	replicas := []*scaler.Scaler{s.scaler, s.second}
	began := time.Now()
	opens := began.Add(10 * time.Second).Truncate(time.Second)
	s.changePolicy(t, namespace, scheduled, func(p *v1alpha1.AutoscalerPolicySpec) {
		open := window("sale", opens)
		open.Floor = new(int32(3))
		p.Schedules = []v1alpha1.Schedule{open}
	})
	s.status(t, namespace, scheduled, func(status *v1alpha1.AutoscalerPolicyStatus) bool {
		return status.Windows != nil && status.Windows.Next != nil && status.Windows.Next.Name == "sale"
	})
	for _, replica := range replicas {
		s.reports(t, replica, namespace, scheduled, 0)
	}
	s.stage.Cluster.KillAPIServer()
	for _, replica := range replicas {
		s.reports(t, replica, namespace, scheduled, 3)
		if early := time.Until(opens); early > 0 {
			t.Errorf("%s reports the window %s before it opens", replica.Address(), early)
		}
		s.reports(t, replica, namespace, steady, 5)
	}
	s.pause(t, hpaSync) // longer than a leader may write without having renewed its Lease
	back := time.Now()
	check(t, s.stage.Cluster.StartAPIServer(s.ctx))
	s.took(t, "API server away", "from return to the floor", s.reach(t, waiting, back, 3*time.Minute, 3))
	s.status(t, namespace, scheduled, func(status *v1alpha1.AutoscalerPolicyStatus) bool {
		return status.Windows != nil && len(status.Windows.Active) == 1 && status.Replicas.Current == 3
	})
	if changes := replicasOf(running.Since(began)); len(changes) != 1 {
		t.Errorf("replicas %v of the workload with work, want 5 all the time", changes)
	}
}

// status waits until the status of a policy is as wanted.
func (s *policySuite) status(t *testing.T, namespace, name string, wanted func(*v1alpha1.AutoscalerPolicyStatus) bool) {
	t.Helper()
	check(t, childprocess.Poll(s.ctx, "the status of "+namespace+"/"+name, 2*time.Minute, 50*time.Millisecond, func(ctx context.Context) error {
		p, err := s.readPolicy(ctx, namespace, name)
		if err == nil && !wanted(&p.Status) {
			err = fmt.Errorf("it is %+v", p.Status)
		}
		return err
	}))
}
