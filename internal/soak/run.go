// Package soak runs the whole scaler on real servers while they fail at random, and holds
// every answer against an oracle of its own. A run follows from its seed.
package soak

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Options say how to run.
type Options struct {
	// Seed decides what happens, and For is how long.
	Seed uint64
	For  time.Duration
	// Topologies are what it runs on.
	Topologies []stage.Topology
	// Engines are those of the scaler.
	Engines []backlog.Engine
	// WithoutScalerFaults leaves the configuration of the scaler as it is.
	WithoutScalerFaults bool
	// Until ends the run early, when it returns true for a violation; nil never does.
	Until func(Violation) bool
	// Out gets the seed, each fault and what was found.
	Out io.Writer
}

// Plan returns what a run does.
func (o Options) Plan() []plan.Step {
	var shapes []plan.Shape
	for _, t := range o.Topologies {
		shapes = append(shapes, t.Shape)
	}
	if !o.WithoutScalerFaults {
		shapes = append(shapes, scalerShape())
	}
	return plan.New(o.Seed, o.For, shapes)
}

// A started is a topology that runs.
type started struct {
	topology stage.Topology
	broker   stage.Broker
	// mu is held while a queue is written, and while a fault begins or ends.
	mu sync.Mutex
}

// A run is one soak.
type run struct {
	options  Options
	brokers  []*started
	watches  []*watch
	stalls   *stalls
	troubles *troubles
	report   *report
	tally    *tally
	// explain returns what the scaler knows of a trigger.
	explain func(name string) string
	// end ends the run early.
	end      func()
	log      *logCounter
	printing sync.Mutex
	client   pb.ExternalScalerClient
	config   string
	// settings of the scaler's configuration that faults change.
	reopened, broken, added bool
}

// Run runs a soak and returns the first violation of each kind. Servers that do not do
// what they are asked to fail the test.
func Run(t testing.TB, o Options) []Violation {
	t.Helper()
	r := &run{
		options: o, stalls: &stalls{}, troubles: &troubles{}, tally: &tally{}, log: newLogCounter(),
		report: &report{out: o.Out, seed: o.Seed, seen: map[string]int{}, zero: time.Now()},
		config: filepath.Join(t.TempDir(), "scaler.yaml"),
	}
	r.print(fmt.Sprintf("soak: seed %d, for %s\n", o.Seed, o.For))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	performing, end := context.WithCancel(ctx)
	defer end()
	r.end = end
	var measuring sync.WaitGroup
	measuring.Go(func() { r.stalls.run(ctx) })
	defer measuring.Wait()
	defer cancel()
	r.startBrokers(t)
	stop := r.startScaler(ctx, t)
	defer stop()
	stopWatching := r.watchAll(ctx)
	defer stopWatching()
	start := r.settled(ctx)
	r.report.setZero(time.Now())
	r.perform(performing, t)
	r.checkLeaks(performing, start)
	stopWatching()
	r.conclude()
	return r.report.all()
}

func (r *run) startBrokers(t testing.TB) {
	t.Helper()
	for _, topology := range r.options.Topologies {
		s := &started{topology: topology, broker: topology.Start(t, r.options.Seed)}
		r.brokers = append(r.brokers, s)
		r.print("runs on " + s.broker.Name() + "\n")
	}
}

// watchAll asks about all triggers, and waits until all were answered for once.
func (r *run) watchAll(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	began := &trouble{fault: plan.Fault{Name: "start", Settle: 5 * time.Second}, topology: scalerTopology}
	r.troubles.begin(began, time.Now())
	for _, s := range r.brokers {
		for _, q := range s.broker.Queues() {
			if !slices.ContainsFunc(s.topology.Queues, func(p plan.Queue) bool { return p.Name == q.Name }) {
				continue
			}
			w := newWatch(r, s.topology.Topology, q)
			r.watches = append(r.watches, w)
			watching.Go(func() { w.poll(ctx) })
			watching.Go(func() { w.stream(ctx) })
		}
	}
	r.troubles.note(func() { began.ended = time.Now() })
	var once sync.Once
	return func() {
		once.Do(func() {
			cancel()
			watching.Wait()
		})
	}
}

// perform does what the plan says: writes and faults of each topology, and the faults of
// the scaler, each in order.
func (r *run) perform(ctx context.Context, t testing.TB) {
	t.Helper()
	var performing sync.WaitGroup
	steps := r.options.Plan()
	for _, s := range r.brokers {
		performing.Go(func() { r.write(ctx, s, steps) })
		performing.Go(func() { r.disturb(ctx, t, s, steps) })
	}
	performing.Go(func() { r.disturbScaler(ctx, t, steps) })
	performing.Wait()
	r.sleepUntil(ctx, r.options.For)
}

// late is by how much a write may be late, and is left out beyond.
const late = time.Second

func (r *run) write(ctx context.Context, s *started, steps []plan.Step) {
	queues := map[string]*stage.Queue{}
	for _, q := range s.broker.Queues() {
		queues[q.Name] = q
	}
	for _, step := range steps {
		if step.Topology != s.topology.Topology || step.Queue == "" {
			continue
		}
		r.sleepUntil(ctx, step.At)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		if r.offset() < step.At+late && queues[step.Queue].Write(ctx, step.Write, step.N) {
			r.tally.writes.Add(1)
		}
		s.mu.Unlock()
		queues[step.Queue].History.Forget(time.Now().Add(-2 * time.Minute))
	}
}

// disturb causes the faults of a topology, one after the other.
func (r *run) disturb(ctx context.Context, t testing.TB, s *started, steps []plan.Step) {
	t.Helper()
	for _, step := range steps {
		if step.Topology == s.topology.Topology && step.Fault != "" {
			r.suffer(ctx, step, s.topology.Faults, &s.mu, func() stage.Trouble {
				return s.broker.Cause(t, step.Fault, step.Choice)
			})
		}
	}
}

// suffer causes a fault, waits as long as it lasts, and ends it. Writes wait meanwhile
// for the lock.
func (r *run) suffer(ctx context.Context, step plan.Step, faults []plan.Fault, mu *sync.Mutex, cause func() stage.Trouble) {
	r.sleepUntil(ctx, step.At)
	if ctx.Err() != nil {
		return
	}
	tr := &trouble{topology: step.Topology, fault: find(faults, step.Fault)}
	r.troubles.begin(tr, time.Now())
	r.tally.faults.Add(1)
	var began stage.Trouble
	locked(mu, func() { began = cause() })
	r.troubles.note(func() { tr.text, tr.hits, tr.caused = began.Text, began.Hits, time.Now() })
	r.print(fmt.Sprintf("%9.3fs  %s: %s %s, for %s\n", r.offset().Seconds(), step.Topology, step.Fault, began.Text, step.For))
	if began.End == nil {
		r.troubles.note(func() { tr.ending, tr.ended = tr.caused, tr.caused })
		return
	}
	r.sleep(ctx, step.For)
	r.troubles.note(func() { tr.ending = time.Now() })
	locked(mu, began.End)
	r.troubles.note(func() { tr.ended = time.Now() })
	r.print(fmt.Sprintf("%9.3fs  %s: end of %s\n", r.offset().Seconds(), step.Topology, step.Fault))
	r.troubles.forget(time.Now().Add(-10 * time.Minute))
}

// locked calls do with the lock held. A server that does not do what it is asked to ends
// the goroutine, and with it the faults of its topology.
func locked(mu *sync.Mutex, do func()) {
	mu.Lock()
	defer mu.Unlock()
	do()
}

func find(faults []plan.Fault, name string) plan.Fault {
	for _, f := range faults {
		if f.Name == name {
			return f
		}
	}
	return plan.Fault{Name: name}
}

// conclude holds what is known only at the end against its bounds, and prints the rest.
func (r *run) conclude() {
	for message, n := range r.log.busiest() {
		if n > maxLines {
			r.violateAll(Noise, message, fmt.Sprintf("%d lines in a minute, at most %d are allowed", n, maxLines))
		}
	}
	r.print(fmt.Sprintf("\n%s; timers were %s late in all\n", r.tally, r.stalls.sum().Round(time.Millisecond)))
	if r.tally.saysLittle() {
		r.print("this run says little: the machine was so busy that hardly any bound was in force\n")
	}
	r.print("most lines of the log in a minute:\n" + r.log.summary())
	if found := r.report.summary(); found != "" {
		r.print("VIOLATIONS\n" + found)
		return
	}
	r.print("no violation\n")
}

func (r *run) offset() time.Duration { return time.Since(r.report.start()) }

func (r *run) sleepUntil(ctx context.Context, offset time.Duration) {
	r.sleep(ctx, offset-r.offset())
}

func (r *run) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
