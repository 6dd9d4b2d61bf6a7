package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// The least times between two writes of a status.
const (
	// urgentInterval is that of a change that is written at once.
	urgentInterval = time.Second
	// statusInterval is that of a status in which only numbers changed.
	statusInterval = 30 * time.Second
)

// The writes of statuses of all policies. With 1000 policies whose numbers change all the time there
// are 33 each second.
const (
	statusesPerSecond = 50
	statusBurst       = 100
	// statusRetry is the time after which a status that was not written is tried again.
	statusRetry = time.Second
)

// The words for what decides while there is no number.
const (
	reasonInvalid = "invalid"
	reasonUnknown = "unknown"
	reasonFormula = "formula"
)

// writeStatus writes the status if it has changed, and the events of the change. It returns after
// which time a smaller change may be written. After a write of replicas the status follows at once,
// because a replica of the scaler that starts in the next seconds has the time from it.
func (c *Controller) writeStatus(ctx context.Context, s *subject, outcome *policies.Outcome, done *deeds) (time.Duration, error) {
	w := &s.record.writing
	before := &s.object.Status
	if w.status != nil && older(s.object.ResourceVersion, w.statusVersion) {
		before = w.status
	}
	after := newStatus(before, s, outcome, done)
	if sameStatus(before, after) {
		return 0, c.writeEvents(ctx, s, nil, nil, done)
	}
	due := w.statusAt.Add(statusInterval)
	switch {
	case done.scaled:
		due = s.now
	case urgent(before, after):
		due = w.statusAt.Add(urgentInterval)
	}
	if s.now.Before(due) {
		return due.Sub(s.now), c.writeEvents(ctx, s, nil, nil, done)
	}
	if !c.statuses.AllowN(s.now, 1) && !done.scaled {
		return statusRetry, c.writeEvents(ctx, s, nil, nil, done)
	}
	version, err := c.patchStatus(ctx, s.object, before, after)
	if err != nil {
		return 0, fmt.Errorf("write status: %w", err)
	}
	w.status, w.statusVersion, w.statusAt = after, version, s.now
	return 0, c.writeEvents(ctx, s, before, after, done)
}

// patchStatus writes what differs between two statuses. It returns the resource version of the policy
// after that.
func (c *Controller) patchStatus(ctx context.Context, p *v1alpha1.AutoscalerPolicy, before, after *v1alpha1.AutoscalerPolicyStatus) (string, error) {
	patch, err := statusPatch(before, after)
	if err != nil {
		return "", err
	}
	requests := c.client.Untyped(policyResource(), p.Namespace)
	written, err := requests.Patch(ctx, p.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if err != nil {
		return "", err
	}
	return written.GetResourceVersion(), nil
}

// statusPatch returns the JSON merge patch (RFC 7396) from one status to another.
func statusPatch(before, after *v1alpha1.AutoscalerPolicyStatus) ([]byte, error) {
	type policy struct {
		Status *v1alpha1.AutoscalerPolicyStatus `json:"status"`
	}
	from, err := json.Marshal(policy{before})
	if err != nil {
		return nil, err
	}
	to, err := json.Marshal(policy{after})
	if err != nil {
		return nil, err
	}
	return jsonpatch.CreateMergePatch(from, to)
}

// newStatus returns the status of a policy. What is not known now stays as it was.
func newStatus(before *v1alpha1.AutoscalerPolicyStatus, s *subject, outcome *policies.Outcome, done *deeds) *v1alpha1.AutoscalerPolicyStatus {
	after := before.DeepCopy()
	d := &outcome.Decision
	after.ObservedGeneration = s.object.Generation
	after.Conditions = conditionsOf(before.Conditions, s, outcome, done)
	after.Reason = reasonOf(outcome)
	if s.err == nil {
		after.Replicas.Current, after.Replicas.Available = s.workload.replicas, s.workload.available
		noteScale(after, s, d)
	}
	if len(outcome.Problems) > 0 {
		return after
	}
	if outcome.Decided() {
		after.Replicas.Wanted, after.Replicas.Decided = d.Wanted, outcome.Replicas
	}
	after.Bounds = v1alpha1.BoundsStatus{Floor: d.Floor, Ceiling: d.Ceiling}
	after.Windows = windowsOf(d)
	after.Signals = signalsOf(d.Signals)
	after.Busy = nil
	if s.object.Spec.BusyPods != nil && s.record.target.Pods.Known {
		after.Busy = new(int32(s.record.target.Pods.Busy())) //nolint:gosec // no workload has that many pods
	}
	return after
}

func reasonOf(outcome *policies.Outcome) string {
	switch {
	case len(outcome.Problems) > 0:
		return reasonInvalid
	case errors.Is(outcome.Err, policy.ErrFormula):
		return reasonFormula
	case outcome.Err != nil:
		return reasonUnknown
	default:
		return outcome.Decision.Why()
	}
}

// noteScale notes a change of the replicas since the last status.
func noteScale(status *v1alpha1.AutoscalerPolicyStatus, s *subject, d *policy.Decision) {
	w := &s.workload
	last := status.LastScale
	if last != nil && last.To == w.replicas {
		return
	}
	scale := &v1alpha1.ScaleStatus{From: w.replicas, To: w.replicas, At: metav1.NewTime(w.writtenAt.Truncate(time.Second)), Manager: w.writer}
	if last != nil {
		scale.From = last.To
	}
	if w.writtenAt.IsZero() || last != nil && scale.At.Before(&last.At) {
		scale.At = metav1.NewTime(s.now.Truncate(time.Second))
	}
	status.LastScale = scale
	if last != nil && slices.ContainsFunc(d.Steps, func(step policy.Step) bool { return limitReason(step.Reason) == v1alpha1.ReasonStep }) {
		status.Step = &v1alpha1.StepStatus{From: scale.From, To: scale.To, At: scale.At}
	}
}

func windowsOf(d *policy.Decision) *v1alpha1.WindowsStatus {
	state := &d.Schedule
	if len(state.Open) == 0 && state.Next.Window == "" {
		return nil
	}
	windows := &v1alpha1.WindowsStatus{Active: state.Open}
	if state.Next.Window != "" {
		windows.Next = &v1alpha1.WindowEdge{Name: state.Next.Window, Edge: "End", At: metav1.NewTime(state.Next.At)}
		if state.Next.Opens {
			windows.Next.Edge = "Start"
		}
	}
	return windows
}

func signalsOf(states []policy.SignalState) []v1alpha1.SignalStatus {
	signals := make([]v1alpha1.SignalStatus, 0, len(states))
	for i := range states {
		s := &states[i]
		signal := v1alpha1.SignalStatus{Name: s.Name, State: string(s.State)}
		if s.State != policy.Holding && s.State != policy.Ignored {
			signal.Value = strconv.FormatFloat(s.Value, 'f', -1, 64)
		}
		if !s.At.IsZero() {
			signal.At = new(metav1.NewTime(s.At.Truncate(time.Second)))
		}
		if s.Err != nil {
			signal.Message = truncate(s.Err.Error(), maxMessage)
		}
		signals = append(signals, signal)
	}
	return signals
}

// sameStatus reports whether two statuses say the same. The time of a reading whose value is the
// same, and the text of a condition or an error whose reason is the same, are not news: they would
// be a write for every read of a signal.
func sameStatus(a, b *v1alpha1.AutoscalerPolicyStatus) bool {
	return equality.Semantic.DeepEqual(withoutTexts(a), withoutTexts(b))
}

func withoutTexts(status *v1alpha1.AutoscalerPolicyStatus) *v1alpha1.AutoscalerPolicyStatus {
	plain := status.DeepCopy()
	for i := range plain.Signals {
		plain.Signals[i].At, plain.Signals[i].Message = nil, ""
	}
	for i := range plain.Conditions {
		plain.Conditions[i].Message = ""
	}
	return plain
}

// urgent reports whether a change is written at once: one of the reason, the bounds, the windows,
// a condition or the generation.
func urgent(before, after *v1alpha1.AutoscalerPolicyStatus) bool {
	return before.ObservedGeneration != after.ObservedGeneration || before.Reason != after.Reason || before.Bounds != after.Bounds ||
		!slices.Equal(active(before), active(after)) || !slices.EqualFunc(before.Conditions, after.Conditions, sameCondition)
}

func active(status *v1alpha1.AutoscalerPolicyStatus) []string {
	if status.Windows == nil {
		return nil
	}
	return status.Windows.Active
}

func sameCondition(a, b metav1.Condition) bool {
	return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason
}
