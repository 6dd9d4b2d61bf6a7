// Package operator stands in for the client of Kubernetes: it passes the AutoscalerPolicies of a text, and
// the replicas of their workloads, to what decides on them.
package operator

import (
	"context"
	_ "embed" // for the policy of the demo
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/journal"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policies/runner"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
)

// policyOfTheDemo is an AutoscalerPolicy as "kubectl apply" takes it.
//
//go:embed policy.yaml
var policyOfTheDemo []byte

// Policy returns the AutoscalerPolicy of the demo, in YAML.
func Policy() []byte { return slices.Clone(policyOfTheDemo) }

// interval is how often the replicas of the workloads are looked at.
const interval = 100 * time.Millisecond

// A Workload has replicas.
type Workload interface {
	// Scale returns the number of replicas.
	Scale() hpa.Scale
}

// errNoWorkload is the target of a policy that the demo does not have.
var errNoWorkload = errors.New("workload not found")

// Parse returns the policies of YAML with any number of documents, by the same checks as those of "scaler
// policy check". namespace is that of policies that name none. The error has every mistake with its line.
func Parse(manifests []byte, engines []backlog.Engine, namespace string) ([]policies.Policy, error) {
	checker, err := policycheck.New(engines, nil, namespace)
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	file, err := checker.Check(manifests)
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	parsed := make([]policies.Policy, 0, len(file.Policies))
	var mistakes []error
	for i := range file.Policies {
		p := &file.Policies[i]
		for _, mistake := range p.Mistakes {
			mistakes = append(mistakes, fmt.Errorf("read policy %s: line %d: %s", p.Key, mistake.Line, mistake.Text))
		}
		if compiled, plain := p.Compiled(); compiled != nil {
			parsed = append(parsed, *plain)
		}
	}
	return parsed, errors.Join(mistakes...)
}

// An Operator passes policies to a runner while it runs. It acts on nothing: a trigger that names a policy
// has the answer, and the caller scales.
type Operator struct {
	policies []policies.Policy
	// runner is set by Open.
	runner *runner.Runner
	// workload returns a workload by its name; nil if there is none.
	workload func(name string) Workload
	log      *journal.Journal
	// open are the windows that were open when a policy was looked at last. They belong to Run.
	open map[policies.Key][]string
	// decided is closed by Run when there is a decision on each policy.
	decided chan struct{}
}

// New returns an Operator of policies.
func New(parsed []policies.Policy, workload func(name string) Workload, log *journal.Journal) *Operator {
	return &Operator{policies: parsed, workload: workload, log: log, open: map[policies.Key][]string{}, decided: make(chan struct{})}
}

// Open is the app.PolicySource of the policies. It is called once, before anything else.
func (o *Operator) Open(r *runner.Runner, _ *slog.Logger) (app.PolicyWatcher, error) {
	o.runner = r
	return o, nil
}

// firstDecision bounds the wait for the first decisions, because a queue that cannot be read allows none.
const firstDecision = 2 * time.Second

// Await waits until there is a decision on each policy, for two seconds at most. A call before that is an
// error, which a scaler reports in the moment of its start.
func (o *Operator) Await(ctx context.Context) {
	timer := time.NewTimer(firstDecision)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-o.decided:
	}
}

// Run passes policies and replicas on until the context ends, and adds the edges of windows to the journal.
func (o *Operator) Run(ctx context.Context) error {
	for i := range o.policies {
		o.runner.Set(o.policies[i])
	}
	passed := map[policies.Key]policies.Target{}
	o.passOn(passed)
	o.runner.Synced()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for undecided := true; ; {
		if undecided && !slices.ContainsFunc(o.policies, o.undecided) {
			close(o.decided)
			undecided = false
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			o.passOn(passed)
		case key := <-o.runner.Changed():
			o.note(key)
		}
	}
}

// undecided reports whether there is no decision on a policy yet.
func (o *Operator) undecided(p policies.Policy) bool {
	outcome, found := o.runner.Outcome(p.Namespace, p.Name)
	return !found || !outcome.Decided()
}

// passOn passes the replicas of each workload on if they have changed.
func (o *Operator) passOn(passed map[policies.Key]policies.Target) {
	for i := range o.policies {
		p := &o.policies[i]
		var target policies.Target
		if w := o.workload(p.Ref.Name); w != nil {
			scale := w.Scale()
			target.Target = policy.Target{Replicas: scale.Spec, Available: scale.Ready}
		} else {
			target.Err = fmt.Errorf("%s %q: %w", p.Ref.Kind, p.Ref.Name, errNoWorkload)
		}
		before, known := passed[p.Key]
		if known && before.Replicas == target.Replicas && before.Available == target.Available {
			continue
		}
		passed[p.Key] = target
		o.runner.SetTarget(p.Namespace, p.Name, target)
	}
}

// note adds the windows that have opened or closed to the journal.
func (o *Operator) note(key policies.Key) {
	status, found := o.runner.Status(key)
	if !found || !status.Read() {
		return
	}
	d := &status.Outcome.Decision
	before, known := o.open[key]
	o.open[key] = d.Schedule.Open
	edge := func(window, verb string) {
		o.log.Add(status.Policy.Ref.Name, fmt.Sprintf("window %s %s: at least %d replicas%s", window, verb, d.Floor, next(d, window, status.Outcome.At)))
	}
	for _, window := range before {
		if !slices.Contains(d.Schedule.Open, window) {
			edge(window, "closes")
		}
	}
	for _, window := range d.Schedule.Open {
		switch {
		case !known:
			edge(window, "is open")
		case !slices.Contains(before, window):
			edge(window, "opens")
		}
	}
}
