package kube

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// TestHostname: the hostname of a pod is its name, unless the spec says otherwise.
func TestHostname(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pod  string
		spec corev1.PodSpec
		want string
	}{
		"its name":      {"billing-1", corev1.PodSpec{}, "billing-1"},
		"hostname":      {"billing-1", corev1.PodSpec{Hostname: "worker"}, "worker"},
		"override":      {"billing-1", corev1.PodSpec{Hostname: "worker", HostnameOverride: new("a.b")}, "a.b"},
		"FQDN":          {"billing-1", corev1.PodSpec{Hostname: "worker", SetHostnameAsFQDN: new(true)}, ""},
		"no FQDN":       {"billing-1", corev1.PodSpec{SetHostnameAsFQDN: new(false)}, "billing-1"},
		"of its node":   {"billing-1", corev1.PodSpec{Hostname: "worker", HostNetwork: true}, ""},
		"longest":       {strings.Repeat("x", 63), corev1.PodSpec{}, strings.Repeat("x", 63)},
		"truncated one": {strings.Repeat("x", 64), corev1.PodSpec{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, known := hostnameOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: tc.pod}, Spec: tc.spec})
			if known != (tc.want != "") || known && got != tc.want {
				t.Errorf("hostname %q, known: %v; want %q", got, known, tc.want)
			}
		})
	}
}

// TestUnknownWorkersAreBusy: a pod is idle only if the queue shows it, or if every busy worker is a pod of the namespace.
func TestUnknownWorkersAreBusy(t *testing.T) {
	t.Parallel()
	backlogError := errors.New("no answer")
	listed := map[string]bool{"billing-1": true, "billing-2": false}
	pod := func(name string) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	onNode := pod("billing-2")
	onNode.Spec.HostNetwork = true
	for name, tc := range map[string]struct {
		workers queueWorkers
		pod     *corev1.Pod
		want    bool
	}{
		"nothing is known":           {queueWorkers{}, pod("billing-2"), true},
		"stale":                      {queueWorkers{busy: listed, err: backlogError}, pod("billing-2"), true},
		"busy":                       {queueWorkers{known: true, busy: listed}, pod("billing-1"), true},
		"idle":                       {queueWorkers{known: true, busy: listed}, pod("billing-2"), false},
		"idle next to a foreign one": {queueWorkers{known: true, busy: listed, foreign: true}, pod("billing-2"), false},
		"not listed":                 {queueWorkers{known: true, busy: listed}, pod("billing-3"), false},
		"not listed, and foreign":    {queueWorkers{known: true, busy: listed, foreign: true}, pod("billing-3"), true},
		"no worker is busy":          {queueWorkers{known: true}, pod("billing-3"), false},
		"in the network of its node": {queueWorkers{known: true, busy: listed}, onNode, true},
		"in that, and none is busy":  {queueWorkers{known: true}, onNode, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.workers.isBusy(tc.pod); got != tc.want {
				t.Errorf("busy: %v, want %v", got, tc.want)
			}
		})
	}
}

// TestDoubtOfWorkers: the status says why pods are spared that may be idle, and names no worker.
func TestDoubtOfWorkers(t *testing.T) {
	t.Parallel()
	busy := policies.Outcome{Decision: policy.Decision{Steps: []policy.Step{{Reason: policy.ReasonBusy, Before: 1, After: 3}}}}
	for name, tc := range map[string]struct {
		workers queueWorkers
		want    string
	}{
		"known":        {queueWorkers{known: true, busy: map[string]bool{"a": true}}, "busy: 3 instead of 1"},
		"not read yet": {queueWorkers{err: policies.ErrWorkersUnread}, "busy: 3 instead of 1"},
		"an error":     {queueWorkers{err: errors.New("no answer")}, "busy: 3 instead of 1; which pods are busy is not known: no answer"},
		"foreign":      {queueWorkers{known: true, busy: map[string]bool{"laptop": true}, foreign: true}, "busy: 3 instead of 1; a busy worker is no pod of the namespace, so pods count as busy that the queue does not list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subjectOf(policies.ViaScale, owners{known: true})
			s.workers = tc.workers
			if reason, got := limitedReason(s, &busy); reason != v1alpha1.ReasonBusy || got != tc.want {
				t.Errorf("%s: %s, want %s", reason, got, tc.want)
			}
		})
	}
}
