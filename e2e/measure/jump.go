package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

const (
	// jumpRounds is how many jumps are timed, each of a workload of its own, and builtinRounds how many workloads the built-in
	// trigger scales to the same number.
	jumpRounds, builtinRounds = 20, 2
	// jumpMessages are work for as many replicas.
	jumpMessages, jumpReplicas = 200, 40
	jumpP50, jumpP99           = 60.0, 300.0 // milliseconds
	// twoSyncs is the time of two syncs of the HPA:
	// https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/podautoscaler/config/v1alpha1/defaults.go#L37
	twoSyncs = 30 * time.Second
	// jumpGone is the time after which the work of every second workload is gone.
	jumpGone = time.Second
	// jumpWithin bounds a jump, and builtinWithin the way of the built-in trigger, which takes about 70 s.
	jumpWithin, builtinWithin = time.Minute, 5 * time.Minute
)

// Jump measures from the write of work for forty replicas to spec.replicas at forty, with policies that jump from zero. The
// built-in trigger does the same in the same cluster afterwards. Of every second workload the work is gone after a second; the
// next two syncs of the HPA change nothing in either case.
func Jump(ctx context.Context, programs Programs) (measurements []measurement.Measurement, err error) {
	side, ctx, err := start(ctx, programs, "jump", false)
	defer func() { err = errors.Join(because(ctx, err), side.Close()) }()
	if err != nil {
		return nil, err
	}
	jumps, err := newJumps(ctx, side, programs)
	if err != nil {
		return nil, err
	}
	builtin, err := newBuiltins(ctx, side)
	if err != nil {
		return nil, err
	}
	if err := side.Stage.Cluster.WaitSettled(ctx, patience); err != nil {
		return nil, err
	}
	for _, j := range jumps {
		if err := j.make(ctx, side); err != nil {
			return nil, err
		}
		fmt.Fprintf(programs.Progress, "jump: %s took %s\n", j.workload.Key().Name, j.took.Round(time.Millisecond/10))
	}
	theirs, err := timeBuiltins(ctx, side, builtin)
	if err != nil {
		return nil, err
	}
	// The built-in trigger took longer as a rule.
	if err := pause(ctx, time.Until(jumps[len(jumps)-1].at.Add(twoSyncs))); err != nil {
		return nil, err
	}
	return jumpMeasurements(jumps, theirs), nil
}

// A jump is one workload that a policy raises at once.
type jump struct {
	workload *workload.Workload
	// gone has the work gone after a second.
	gone bool
	// at is when the replicas were raised, and took how long after the write.
	at   time.Time
	took time.Duration
}

// newJumps starts a scaler that watches policies, and makes the workloads.
func newJumps(ctx context.Context, side *Side, programs Programs) ([]*jump, error) {
	const namespace = "jump"
	flags, environment, err := side.Stage.Cluster.InstallPolicies(ctx, programs.Toolchain)
	if err != nil {
		return nil, err
	}
	own, err := side.Stage.StartScaler(ctx, scaler.Options{Name: "scaler", Args: flags, Env: environment, Connections: map[string]scaler.Connection{
		connection: {Engine: "redis", Namespaces: []string{"*"}, Addresses: []string{side.Redis.Address()}},
	}})
	if err != nil {
		return nil, err
	}
	if err := side.Stage.Cluster.CreateNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	objects, err := newPolicyObjects(side.Stage.Cluster.Config(), namespace)
	if err != nil {
		return nil, err
	}
	options := make([]workload.Options, jumpRounds)
	for i := range options {
		name := list(namespace, i)
		if err := objects.create(ctx, name, name); err != nil {
			return nil, err
		}
		options[i] = workload.Options{Namespace: namespace, Name: name, Triggers: []workload.Trigger{policyTrigger(own.Address(), name)}, Behavior: exact()}
	}
	workloads, err := workload.NewFleet(ctx, side.Stage.Clients, patience, options)
	if err != nil {
		return nil, err
	}
	jumps := make([]*jump, len(workloads))
	for i, w := range workloads {
		jumps[i] = &jump{workload: w, gone: i%2 == 1}
	}
	return jumps, objects.waitAccepted(ctx, jumpRounds, patience)
}

// exact is the behaviour of an HPA that follows each number that is reported, as the documentation of policies wants it.
func exact() *autoscalingv2.HorizontalPodAutoscalerBehavior {
	rules := func() *autoscalingv2.HPAScalingRules {
		return &autoscalingv2.HPAScalingRules{Tolerance: new(resource.MustParse("0"))}
	}
	return &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: rules(), ScaleDown: rules()}
}

// make times the jump, and returns when the controllers have made the pods, so that they do not disturb the next one.
func (j *jump) make(ctx context.Context, side *Side) error {
	if err := pause(ctx, rand.N(time.Second/2)); err != nil {
		return err
	}
	queue := j.workload.Key().Name
	written := time.Now()
	if err := side.Redis.Push(ctx, queue, jumpMessages); err != nil {
		return err
	}
	var err error
	if j.at, err = j.workload.WaitReplicas(ctx, written, jumpWithin, raised); err != nil {
		return err
	}
	j.took = j.at.Sub(written)
	if j.gone {
		if err := errors.Join(pause(ctx, time.Until(written.Add(jumpGone))), side.Redis.Drain(ctx, queue)); err != nil {
			return err
		}
	}
	return j.workload.WaitPods(ctx, patience, jumpReplicas)
}

// raised is the number of replicas to which the workloads jump.
func raised(n int32) bool { return n == jumpReplicas }

// kept reports whether the replicas stayed what they were for two syncs of the HPA.
func (j *jump) kept() bool {
	return !slices.ContainsFunc(j.workload.Since(j.at), func(c workload.Change) bool {
		return c.At.Before(j.at.Add(twoSyncs)) && !raised(c.Replicas)
	})
}

// newBuiltins makes workloads with the built-in trigger and KEDA's own settings.
func newBuiltins(ctx context.Context, side *Side) ([]*workload.Workload, error) {
	const namespace = "jump-builtin"
	if err := side.Stage.Cluster.CreateNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	options := make([]workload.Options, builtinRounds)
	for i := range options {
		name := list(namespace, i)
		options[i] = workload.Options{Namespace: namespace, Name: name, Triggers: []workload.Trigger{side.Trigger(name)}}
	}
	return workload.NewFleet(ctx, side.Stage.Clients, patience, options)
}

// timeBuiltins times all of them at once, in milliseconds, each from a write at another moment of KEDA's polling.
func timeBuiltins(ctx context.Context, side *Side, workloads []*workload.Workload) ([]float64, error) {
	took := make([]float64, len(workloads))
	group, ctx := errgroup.WithContext(ctx)
	for i, w := range workloads {
		group.Go(func() error {
			if err := pause(ctx, time.Duration(i)*polling/builtinRounds); err != nil {
				return err
			}
			written := time.Now()
			if err := side.Redis.Push(ctx, w.Key().Name, jumpMessages); err != nil {
				return err
			}
			at, err := w.WaitReplicas(ctx, written, builtinWithin, raised)
			took[i] = milliseconds(at.Sub(written))
			return err
		})
	}
	return took, group.Wait()
}

// jumpMeasurements are the times of both sides, and the workloads that changed again.
func jumpMeasurements(jumps []*jump, theirs []float64) []measurement.Measurement {
	var ours []float64
	changed := 0
	for _, j := range jumps {
		ours = append(ours, milliseconds(j.took))
		if !j.kept() {
			changed++
		}
	}
	baseline := measurement.Median(theirs)
	quantile := func(name string, q, limit float64) measurement.Measurement {
		value := measurement.Quantile(ours, q)
		return measurement.Measurement{
			Name: name, Value: value, Unit: "ms", Ratio: new(value / baseline), Bound: measurement.AtMost(limit),
			Note: fmt.Sprintf("baseline %.0f of %d, %d samples, %.1f to %.1f", baseline, len(theirs), len(ours), slices.Min(ours), slices.Max(ours)),
		}
	}
	return []measurement.Measurement{
		quantile("jump_p50", 0.5, jumpP50),
		quantile("jump_p99", 0.99, jumpP99),
		{
			Name: "jump_changed", Value: float64(changed), Unit: "workloads", Bound: measurement.AtMost(0),
			Note: fmt.Sprintf("of %d, within two syncs of the HPA", len(jumps)),
		},
	}
}
