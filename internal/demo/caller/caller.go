// Package caller acts as KEDA and the HorizontalPodAutoscaler, over gRPC: it holds KEDA's
// streams, polls as KEDA's operator does, reads metrics as the HorizontalPodAutoscaler does,
// and scales by their arithmetic. Line numbers are those of KEDA v2.21.0.
package caller

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"

	"github.com/backlog-scaler/backlog-scaler/internal/demo/journal"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// A Workload can be scaled.
type Workload interface {
	// Scale returns the number of replicas.
	Scale() hpa.Scale
	// SetReplicas sets the desired number of replicas.
	SetReplicas(replicas int32)
}

// An Arrival returns when the latest work came, zero if unknown, and the name of that moment,
// such as "the write". It is shown and decides nothing.
type Arrival func() (at time.Time, what string)

// An Object is a ScaledObject with one trigger of the type external-push.
type Object struct {
	Name, Namespace string
	Metadata        map[string]string
	// Scaling says when and how far it is scaled.
	Scaling hpa.ScaledObject
	// Polling is its pollingInterval, and Sync the interval of the HorizontalPodAutoscaler.
	Polling, Sync time.Duration
}

// A Caller scales one workload.
type Caller struct {
	object   Object
	client   pb.ExternalScalerClient
	workload Workload
	arrival  Arrival
	log      *journal.Journal

	// activation, autoscaler and spec belong to the goroutine that runs Run.
	activation *hpa.Activation
	autoscaler *hpa.Autoscaler
	spec       metricSpec

	// mu guards state: Run writes, the screen reads.
	mu    sync.Mutex
	state state
}

// A metricSpec is the name and the target of the trigger's metric.
type metricSpec struct {
	name   string
	target float64
	// streamed says that it came by StreamMetricSpec, which makes KEDA stop asking
	// (pkg/scaling/cache/scalers_cache.go:191-223).
	streamed bool
}

// New returns a Caller.
func New(conn grpc.ClientConnInterface, object Object, workload Workload, arrival Arrival, log *journal.Journal) *Caller {
	return &Caller{
		object: object, client: pb.NewExternalScalerClient(conn), workload: workload, arrival: arrival, log: log,
		activation: hpa.NewActivation(object.Scaling),
		autoscaler: hpa.New(object.Scaling.Spec()),
	}
}

// Run scales until ctx ends. It returns when all its calls have ended.
func (c *Caller) Run(ctx context.Context) {
	if !c.reconcile(ctx) {
		return
	}
	var streams sync.WaitGroup
	defer streams.Wait()
	pushes, specs := make(chan push), make(chan metricSpec)
	streams.Go(func() { c.streamActive(ctx, pushes) })
	streams.Go(func() { c.streamSpecs(ctx, specs) })
	polls, syncs := time.NewTicker(c.object.Polling), time.NewTicker(c.object.Sync)
	defer polls.Stop()
	defer syncs.Stop()
	c.poll(ctx)
	c.sync(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-pushes:
			c.push(p)
		case c.spec = <-specs:
		case <-polls.C:
			c.poll(ctx)
		case <-syncs.C:
			c.sync(ctx)
		}
	}
}

// reconcileInterval is how long KEDA waits before it tries again to make the
// HorizontalPodAutoscaler; it doubles there.
const reconcileInterval = time.Second

// reconcile asks for the metric from which the HorizontalPodAutoscaler is made.
// Without it there is no scaling at all. It returns false if ctx has ended.
func (c *Caller) reconcile(ctx context.Context) bool {
	for {
		var err error
		if c.spec, err = c.metricSpec(ctx); err == nil {
			c.log.Add(c.object.Name, fmt.Sprintf("GetMetricSpec: metric %s, target %v for each replica", c.spec.name, c.spec.target))
			return true
		}
		c.note(state{trouble: describe("no metric yet", err)})
		select {
		case <-ctx.Done():
			return false
		case <-time.After(reconcileInterval):
		}
	}
}

// push applies one message of StreamIsActive.
func (c *Caller) push(p push) {
	current := c.workload.Scale().Spec
	step := c.activation.Push(p.at, current, p.active)
	if p.active {
		c.touch(p.at)
	}
	if step.Reason != hpa.Activated {
		return
	}
	text := "woken by a push"
	at, what := c.arrival()
	if waited := p.at.Sub(at); waited >= 0 && waited < recent {
		text = fmt.Sprintf("woken %s after %s", milliseconds(waited), what)
	}
	c.scale(current, step.Replicas, text)
}

// recent is how old the youngest work may be for a push to be about it.
const recent = 5 * time.Second

// poll does what KEDA's operator does each pollingInterval.
func (c *Caller) poll(ctx context.Context) {
	now := time.Now()
	c.mu.Lock()
	c.state.nextPoll = now.Add(c.object.Polling)
	c.mu.Unlock()
	_, active, err := c.observe(ctx)
	if ctx.Err() != nil {
		return
	}
	current := c.workload.Scale().Spec
	now = time.Now()
	step := c.activation.Poll(now, current, active, err != nil)
	if active && err == nil {
		c.touch(now)
	}
	switch step.Reason {
	case hpa.Held:
		c.trouble(describe("held", err))
	case hpa.Deactivated:
		c.scale(current, step.Replicas, fmt.Sprintf("inactive for more than %s", c.object.Scaling.Cooldown))
	case hpa.Activated:
		c.scale(current, step.Replicas, "the poll saw work")
	default:
		c.trouble("")
	}
}

// sync does what the HorizontalPodAutoscaler does each Sync. At zero replicas it does nothing.
func (c *Caller) sync(ctx context.Context) {
	scale := c.workload.Scale()
	now := time.Now()
	c.mu.Lock()
	c.state.nextSync = now.Add(c.object.Sync)
	c.mu.Unlock()
	if scale.Spec == 0 {
		c.autoscaler.Sync(now, scale, nil)
		return
	}
	value, _, err := c.observe(ctx)
	if ctx.Err() != nil {
		return
	}
	metric := hpa.Metric{
		Name: c.spec.name, Type: hpa.AverageValue,
		Value: hpa.Thousandths(value), Target: hpa.Thousandths(c.spec.target), Err: err,
	}
	r := c.autoscaler.Sync(now, scale, []hpa.Metric{metric})
	if err != nil {
		c.trouble(describe("the HPA holds", err))
		return
	}
	c.scale(scale.Spec, r.Replicas, explain(value, c.spec.target, r))
}

// scale sets the replicas, and records the reason in the journal if they change.
func (c *Caller) scale(from, to int32, why string) {
	c.mu.Lock()
	c.state.why, c.state.trouble = why, ""
	if from != to {
		c.state.changed = time.Now()
	}
	c.mu.Unlock()
	if from == to {
		return
	}
	c.workload.SetReplicas(to)
	c.log.Add(c.object.Name, fmt.Sprintf("%d → %d  %s", from, to, why))
}
