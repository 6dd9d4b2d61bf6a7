package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// maxNote is the length of the text of an event in bytes, as the API server checks it:
// https://github.com/kubernetes/kubernetes/blob/v1.36.0/pkg/apis/core/validation/events.go#L33
const maxNote = 1024

// The events of one policy: that many at once, then one for each interval. A policy whose signals
// come and go all the time does not fill the store of the cluster. Its status has the latest.
const (
	eventBurst    = 10
	eventInterval = 10 * time.Second
)

// The reasons of events. Each is written once for each edge: when something begins or ends.
const (
	eventWindowOpened = "WindowOpened"
	eventWindowClosed = "WindowClosed"
	eventStepped      = "Stepped"
	eventJumped       = "Jumped"
	eventJumpGivenUp  = "JumpGivenUp"
	eventLimited      = "Limited"
	eventSignal       = "SignalUnknown"
	eventConflicted   = "Conflicted"
	eventNotReady     = "NotReady"
)

// notice is an event before it is written.
type notice struct {
	kind, reason, action, note string
}

// writeEvents writes what began or ended between two statuses, and what was done. The statuses are
// nil if none was written.
func (c *Controller) writeEvents(ctx context.Context, s *subject, before, after *v1alpha1.AutoscalerPolicyStatus, done *deeds) error {
	var notices []notice
	if after != nil {
		notices = edges(before, after)
	}
	if done.jumped {
		notices = append(notices, notice{corev1.EventTypeNormal, eventJumped, "Scale", fmt.Sprintf("raised replicas from %d to %d at once", done.from, done.to)})
	}
	if done.gaveUp {
		notices = append(notices, notice{
			corev1.EventTypeWarning, eventJumpGivenUp, "Scale",
			fmt.Sprintf("replicas were taken back %d times after they were raised, last by %q; the HPA raises them", maxRepeats+1, s.workload.writer),
		})
	}
	w := &s.record.writing
	if w.events == nil {
		w.events = rate.NewLimiter(rate.Every(eventInterval), eventBurst)
	}
	var errs []error
	for i := range notices {
		if !w.events.AllowN(s.now, 1) {
			continue
		}
		if err := c.writeEvent(ctx, s, &notices[i]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// edges returns the events of a change of status.
func edges(before, after *v1alpha1.AutoscalerPolicyStatus) []notice {
	var notices []notice
	for _, name := range active(after) {
		if !slices.Contains(active(before), name) {
			notices = append(notices, notice{corev1.EventTypeNormal, eventWindowOpened, "Decide", fmt.Sprintf("window %q is open", name)})
		}
	}
	for _, name := range active(before) {
		if !slices.Contains(active(after), name) {
			notices = append(notices, notice{corev1.EventTypeNormal, eventWindowClosed, "Decide", fmt.Sprintf("window %q is closed", name)})
		}
	}
	if step := after.Step; step != nil && !equality.Semantic.DeepEqual(before.Step, step) {
		notices = append(notices, notice{corev1.EventTypeNormal, eventStepped, "Scale", fmt.Sprintf("stepped from %d to %d replicas", step.From, step.To)})
	}
	for _, watched := range []struct {
		condition, kind, reason string
		status                  metav1.ConditionStatus
	}{
		{v1alpha1.ConditionReady, corev1.EventTypeWarning, eventNotReady, metav1.ConditionFalse},
		{v1alpha1.ConditionConflicted, corev1.EventTypeWarning, eventConflicted, metav1.ConditionTrue},
		{v1alpha1.ConditionSignalsKnown, corev1.EventTypeWarning, eventSignal, metav1.ConditionFalse},
		{v1alpha1.ConditionLimited, corev1.EventTypeNormal, eventLimited, metav1.ConditionTrue},
	} {
		now := meta.FindStatusCondition(after.Conditions, watched.condition)
		was := meta.FindStatusCondition(before.Conditions, watched.condition)
		if now != nil && now.Status == watched.status && (was == nil || was.Status != now.Status || was.Reason != now.Reason) {
			notices = append(notices, notice{watched.kind, watched.reason, "Decide", now.Reason + ": " + now.Message})
		}
	}
	return notices
}

func (c *Controller) writeEvent(ctx context.Context, s *subject, n *notice) error {
	event := &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: s.object.Namespace, GenerateName: s.object.Name + "-"},
		EventTime:           metav1.NewMicroTime(s.now),
		ReportingController: v1alpha1.Group + "/scaler", ReportingInstance: c.instance(),
		Type: n.kind, Reason: n.reason, Action: n.action, Note: truncate(n.note, maxNote),
		Regarding: corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion().String(), Kind: "AutoscalerPolicy", Namespace: s.object.Namespace, Name: s.object.Name, UID: s.object.UID,
		},
	}
	resource := eventsv1.SchemeGroupVersion.WithResource("events")
	if err := c.client.Create(ctx, resource, event, &eventsv1.Event{}); err != nil {
		return fmt.Errorf("write event %s: %w", n.reason, err)
	}
	return nil
}

// instance is the name of this replica in events.
func (c *Controller) instance() string {
	if c.options.Identity == "" {
		return "scaler"
	}
	return truncate(c.options.Identity, 128)
}
