// Package kedaclient_test calls a running scaler with KEDA's own client code, linked into the test: what KEDA's operator would
// see of each RPC, without a cluster.
package kedaclient_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// patience bounds every wait.
const patience = 20 * time.Second

// A fixture is a Redis and a scaler.
type fixture struct {
	ctx    context.Context //nolint:containedctx // ends when a server dies
	redis  *redisserver.Server
	scaler *scaler.Scaler
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	root, err := toolchain.Root()
	check(t, err)
	binary, err := toolchain.Cache{Root: root, Progress: os.Stderr}.BuildScaler(t.Context())
	check(t, err)
	logs := filepath.Join(root, ".out", "kedaclient")
	check(t, os.RemoveAll(logs))
	supervisor, ctx, err := childprocess.NewSupervisor(t.Context(), logs)
	check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log of every server is in %s", logs)
			if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) { // a server died, and the failures follow from it
				t.Log(cause)
			}
		}
		supervisor.Close()
	})
	f := &fixture{ctx: ctx}
	f.redis, err = redisserver.Start(ctx, supervisor, t.TempDir(), "redis")
	check(t, err)
	t.Cleanup(func() { check(t, f.redis.Close()) })
	f.scaler, err = scaler.Start(ctx, supervisor, scaler.Options{
		Name: "scaler", Binary: binary, Dir: t.TempDir(), Args: []string{"--drain-delay=100ms"},
		Connections: map[string]scaler.Connection{
			"main": {Engine: "redis", Namespaces: []string{"shop"}, Addresses: []string{f.redis.Address()}},
		},
	})
	check(t, err)
	return f
}

// config is what KEDA hands to a scaler for one trigger.
func (f *fixture) config(list string, more map[string]string) *scalersconfig.ScalerConfig {
	metadata := map[string]string{
		"scalerAddress": f.scaler.Address(), "connection": "main", "list": list, "target": "5", "activation": "2",
	}
	maps.Copy(metadata, more)
	return &scalersconfig.ScalerConfig{
		ScalableObjectName: list, ScalableObjectNamespace: "shop", ScalableObjectType: "ScaledObject",
		TriggerMetadata: metadata, TriggerIndex: 0, TriggerName: list,
		ResolvedEnv: map[string]string{"TARGET": "7"},
	}
}

// push builds KEDA's external-push scaler for one trigger.
func (f *fixture) push(t *testing.T, config *scalersconfig.ScalerConfig) scalers.PushScaler {
	t.Helper()
	s, err := scalers.NewExternalPushScaler(config)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close(context.WithoutCancel(f.ctx))) })
	return s
}

func TestKEDAsClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, test := range map[string]func(*testing.T, *fixture){
		"GetMetricSpec gives the HPA its target":                   metricSpec,
		"GetMetrics and IsActive agree":                            metricsAndActivity,
		"an external trigger, without push, is served too":         external,
		"StreamIsActive reports the state at open and each change": streamIsActive,
		"StreamMetricSpec agrees with GetMetricSpec":               streamMetricSpec,
		"keys from the environment arrive resolved":                fromEnv,
		"a namespace without a grant is refused":                   foreignNamespace,
		"an unknown key is refused with the nearest":               unknownKey,
		"more triggers of one object do not mix":                   twoTriggers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, f)
		})
	}
}

func metricSpec(t *testing.T, f *fixture) {
	s := f.push(t, f.config("spec", nil))
	specs := s.GetMetricSpecForScaling(f.ctx)
	if len(specs) != 1 {
		t.Fatalf("got %d metric specs, want 1: %v", len(specs), specs)
	}
	if diff := cmp.Diff(autoscalingv2.AverageValueMetricType, specs[0].External.Target.Type); diff != "" {
		t.Errorf("target type (-want +got):\n%s", diff)
	}
	if got := specs[0].External.Target.AverageValue.AsApproximateFloat64(); got != 5 {
		t.Errorf("target is %v, want 5", got)
	}
}

func metricsAndActivity(t *testing.T, f *fixture) {
	const queue = "values"
	s := f.push(t, f.config(queue, nil))
	for _, step := range []struct {
		push   int
		value  float64
		active bool
	}{
		{push: 0, value: 0, active: false},
		{push: 2, value: 2, active: false}, // not above activation
		{push: 5, value: 7, active: true},
	} {
		if step.push > 0 {
			check(t, f.redis.Push(f.ctx, queue, step.push))
		}
		f.eventually(t, s, step.value, step.active)
	}
	check(t, f.redis.Drain(f.ctx, queue))
	f.eventually(t, s, 0, false)
}

func external(t *testing.T, f *fixture) {
	const queue = "pulled"
	s, err := scalers.NewExternalScaler(f.config(queue, nil))
	check(t, err)
	t.Cleanup(func() { check(t, s.Close(context.WithoutCancel(f.ctx))) })
	check(t, f.redis.Push(f.ctx, queue, 11))
	f.eventually(t, s, 11, true)
}

func streamIsActive(t *testing.T, f *fixture) {
	const queue = "stream"
	s := f.push(t, f.config(queue, nil))
	ctx, cancel := context.WithCancel(f.ctx)
	active := make(chan bool)
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx, active) }()
	next := func() bool {
		t.Helper()
		select {
		case state := <-active:
			return state
		case <-time.After(patience):
			t.Fatalf("no message on the stream within %s", patience)
			return false
		case <-f.ctx.Done():
			t.Fatal(context.Cause(f.ctx))
			return false
		}
	}
	if next() {
		t.Fatal("an empty queue is active at open")
	}
	written := time.Now()
	check(t, f.redis.Push(f.ctx, queue, 3))
	if !next() {
		t.Fatal("the change was not to active")
	}
	took := time.Since(written)
	t.Logf("from the write to KEDA's channel: %s", took)
	if took > time.Second {
		t.Errorf("from the write to KEDA's channel it took %s, want at most 1 s", took)
	}
	check(t, f.redis.Drain(f.ctx, queue))
	for next() { // while it is active, true may be repeated
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("KEDA's Run did not end within %s of its context", patience)
	}
}

func streamMetricSpec(t *testing.T, f *fixture) {
	s := f.push(t, f.config("metricspec", map[string]string{"target": "2.5"}))
	streamer, ok := s.(scalers.MetricSpecStreamer)
	if !ok {
		t.Fatal("KEDA's push scaler does not stream metric specs")
	}
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	active := make(chan bool)
	go s.Run(ctx, active)
	go func() {
		for range active { // KEDA reads both streams; Run closes the channel
		}
	}()
	select {
	case streamed, open := <-streamer.MetricSpecChan():
		if !open {
			t.Fatal("the stream ended: the scaler does not implement it")
		}
		if diff := cmp.Diff(s.GetMetricSpecForScaling(f.ctx), streamed); diff != "" {
			t.Errorf("GetMetricSpec and StreamMetricSpec differ (-get +stream):\n%s", diff)
		}
		if got := streamed[0].External.Target.AverageValue.AsApproximateFloat64(); got != 2.5 {
			t.Errorf("target is %v, want 2.5", got)
		}
	case <-time.After(patience):
		t.Fatalf("no metric spec on the stream within %s", patience)
	}
}

func fromEnv(t *testing.T, f *fixture) {
	config := f.config("fromenv", map[string]string{"targetFromEnv": "TARGET"})
	delete(config.TriggerMetadata, "target")
	specs := f.push(t, config).GetMetricSpecForScaling(f.ctx)
	if len(specs) != 1 {
		t.Fatalf("got %d metric specs, want 1", len(specs))
	}
	if got := specs[0].External.Target.AverageValue.AsApproximateFloat64(); got != 7 {
		t.Errorf("target is %v, want 7", got)
	}
}

func foreignNamespace(t *testing.T, f *fixture) {
	config := f.config("foreign", nil)
	config.ScalableObjectNamespace = "elsewhere"
	f.refused(t, config, "PermissionDenied", "elsewhere", "main")
}

func unknownKey(t *testing.T, f *fixture) {
	f.refused(t, f.config("unknown", map[string]string{"activtion": "1"}), "InvalidArgument", "activtion", "activation")
}

func twoTriggers(t *testing.T, f *fixture) {
	first, second := f.config("pair-a", nil), f.config("pair-b", nil)
	second.ScalableObjectName, second.TriggerIndex = first.ScalableObjectName, 1
	a, b := f.push(t, first), f.push(t, second)
	check(t, f.redis.Push(f.ctx, "pair-a", 4))
	check(t, f.redis.Push(f.ctx, "pair-b", 9))
	f.eventually(t, a, 4, true)
	f.eventually(t, b, 9, true)
	if name := a.GetMetricSpecForScaling(f.ctx)[0].External.Metric.Name; name == b.GetMetricSpecForScaling(f.ctx)[0].External.Metric.Name {
		t.Errorf("both triggers call their metric %q: KEDA refuses that", name)
	}
}
