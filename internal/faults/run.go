package faults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// The times of a run.
const (
	// maxStaleness is that of the triggers: short, so that each fault outlasts it.
	maxStaleness = 6 * time.Second
	// beyond is how much longer a fault lasts.
	beyond = 3 * time.Second
	// visible is how long a fault lasts in which messages arrive.
	visible = 9 * time.Second
	// patience bounds the wait for right answers. It passes only where something is wrong.
	patience = 2 * time.Minute
	// interval is how often KEDA's calls are made.
	interval = 100 * time.Millisecond
)

// An Outcome is what KEDA was answered because of a fault.
type Outcome struct {
	Answers Answers
	// Recovery is how long after the end of the fault the first right answer came.
	Recovery time.Duration
}

// A Result is what a scene has shown.
type Result struct {
	Engine, Title string
	Outcomes      map[Fault]Outcome
}

// A run is the whole scaler with one subject.
type run struct {
	engine  string
	subject *Subject
	client  pb.ExternalScalerClient
	ref     *pb.ScaledObjectRef
	record  *record
	// truth is what the queue holds.
	truth int
	// log is what the scaler has logged, which is printed when the test fails.
	log childprocess.Output
	// config is the file of the configuration, and configured its text.
	config, configured string
}

// messages is how many the queue holds at first.
const messages = 5

// Run causes the faults of a scene one after the other, and returns what they have shown. An answer that
// breaks a promise fails the test. Faults that the subject cannot have are left out.
func Run(t *testing.T, scene Scene) Result {
	t.Helper()
	r := &run{engine: scene.Engine, subject: scene.Start(t), record: &record{}}
	r.put(t, messages)
	outcomes := map[Fault]Outcome{}
	result := Result{Engine: scene.Engine, Title: r.subject.Title, Outcomes: outcomes}
	started := false
	for _, fault := range scene.Faults {
		cause := r.subject.cause(fault)
		if cause == nil {
			continue
		}
		began := time.Now()
		var end func()
		if fault == Absent {
			end = cause(t)
		}
		if !started {
			r.start(t)
			started = true
		}
		if fault != Absent {
			r.await(t, fmt.Sprintf("before %q", fault), time.Time{}, r.truth)
			began = time.Now()
			end = cause(t)
		}
		outcomes[fault] = r.suffer(t, fault, began, end)
		t.Logf("%s on %s: %s", fault, r.subject.Title, outcomes[fault])
	}
	return result
}

// suffer waits while a fault lasts, ends it, waits for right answers and returns what was answered.
func (r *run) suffer(t *testing.T, fault Fault, began time.Time, end func()) Outcome {
	t.Helper()
	before := r.truth
	switch fault {
	case Slow, Flapping:
		r.put(t, 1)
		time.Sleep(visible)
	case Failover:
		// KEDA asks while no server has taken over.
		time.Sleep(beyond)
	default:
		time.Sleep(maxStaleness + beyond)
	}
	ending := time.Now()
	end()
	r.configure(t)
	switch {
	case fault == Emptied && !r.subject.Keeps:
		r.truth = 0
	case fault != Emptied:
		r.put(t, 1)
	}
	ended := time.Now()
	recovered := r.await(t, fmt.Sprintf("after %q", fault), ended, r.truth)
	r.record.check(t, fault, began, recovered, before, r.truth)
	outcome := Outcome{Answers: r.record.answers(t, began, ending, before), Recovery: recovered.Sub(ended)}
	if fault == Emptied && !r.subject.Keeps {
		r.put(t, messages)
	}
	return outcome
}

// put adds messages.
func (r *run) put(t testing.TB, n int) {
	t.Helper()
	r.subject.Put(t, n)
	r.truth += n
}

// await waits until an answer whose call began after a moment has a value, and returns when it began.
func (r *run) await(t *testing.T, what string, since time.Time, want int) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(interval / 4)
	defer tick.Stop()
	for {
		if at, found := r.record.first(since, want); found {
			return at
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s %s: within %s the scaler did not answer %d: %s", r.subject.Title, what, patience, want, r.record.last())
		case <-tick.C:
		}
	}
}

// connection is the name of the connection of the scaler.
const connection = "servers"

// configure writes the configuration of the scaler unless it is as before.
func (r *run) configure(t *testing.T) {
	t.Helper()
	lines := append([]string{"engine: " + r.engine, "namespaces: ['*']"}, r.subject.Connection()...)
	text := "connections:\n  " + connection + ":\n    " + strings.Join(lines, "\n    ") + "\n"
	if text != r.configured {
		replace(t, r.config, text)
		r.configured = text
	}
}

// start starts the scaler, and makes the calls that KEDA makes until the test ends.
func (r *run) start(t *testing.T) {
	t.Helper()
	r.config = filepath.Join(t.TempDir(), "scaler.yaml")
	r.configure(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the scaler of %s:\n%s", r.subject.Title, r.log.String())
		}
	})
	log := telemetry.LimitRepeats(slog.NewTextHandler(&r.log, nil))
	a, err := app.New(t.Context(), app.Options{
		Config: r.config, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0", AdminAddress: "127.0.0.1:0",
		ShutdownTimeout: 10 * time.Second, Engines: engines.All(), Build: telemetry.NewBuild("faults", ""), Logger: log.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	conn, err := grpc.NewClient(a.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	metadata := map[string]string{"connection": connection, "target": "1", "maxStaleness": maxStaleness.String()}
	maps.Copy(metadata, r.subject.Metadata)
	r.ref = &pb.ScaledObjectRef{Name: "workers", Namespace: "faults", ScalerMetadata: metadata}
	r.client = pb.NewExternalScalerClient(conn)
	var calling sync.WaitGroup
	calling.Go(func() { r.call(ctx) })
	t.Cleanup(func() {
		cancel()
		calling.Wait()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("run the scaler: %v", err)
		}
		log.Close()
	})
}

// errValues is an answer that has not one value. It is none that KEDA may get.
var errValues = errors.New("the answer has not one value")

// only returns the value of an answer.
func only(metrics *pb.GetMetricsResponse) (float64, error) {
	values := metrics.GetMetricValues()
	if len(values) != 1 {
		return 0, errValues
	}
	return values[0].GetMetricValueFloat(), nil
}

// call makes KEDA's calls until ctx ends.
func (r *run) call(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		began := time.Now()
		metrics, err := r.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: r.ref})
		a := answer{began: began, err: err}
		if err == nil {
			a.value, a.err = only(metrics)
		}
		activity, err := r.client.IsActive(ctx, r.ref)
		a.active, a.activeErr = activity.GetResult(), err
		if ctx.Err() == nil {
			r.record.add(a)
		}
		timer.Reset(interval)
	}
}
