package doctor

import (
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

func checkServing(v *view, found *findings) {
	if v.Scaler != nil && v.Scaler.Unlisted != "" {
		found.skip(v.Scaler.Unlisted)
	}
	if v.Scaler != nil && v.Scaler.ConfigurationError != "" {
		found.add(object.Named(object.Configurations, "", "of the scaler at "+v.Scaler.Address), "", "Correct the file; scaler check --config FILE checks it.",
			"an older version is in force: %s", v.Scaler.ConfigurationError)
	}
	seen := make(map[*object.Object]bool)
	for _, e := range v.Endpoints() {
		if e.Service == nil || seen[e.Service] {
			continue
		}
		seen[e.Service] = true
		if e.Workload == nil {
			v.checkEndpoints(found, e, 0)
			continue
		}
		ready := e.Workload.At("status", "readyReplicas").NumberOr(0)
		progressing := e.Workload.At("status", "conditions").Condition("Progressing")
		switch n := e.Replicas(); {
		case n == 0:
			found.add(e.Workload, "spec.replicas", "Scale it up.", "the scaler has no replicas")
			continue
		case ready == 0:
			found.add(e.Workload, "status.readyReplicas", "", "none of %s of the scaler is ready", facts.Count(int(n), "replica"))
			continue
		case progressing.At("reason").Text() == "ProgressDeadlineExceeded":
			found.addAs(Warning, e.Workload, "status.conditions", "", "its rollout does not go on, so its replicas may be of two versions: %s", progressing.At("message").Text())
		case ready < n:
			found.addAs(Info, e.Workload, "status.readyReplicas", "", "%d of %d replicas are ready", ready, n)
		default:
			v.checkVersions(found, e.Workload)
		}
		v.checkEndpoints(found, e, ready)
	}
}

// checkEndpoints compares the endpoints of the Service with the replicas that are ready; 0 if they are not
// known.
func (v *view) checkEndpoints(found *findings, e *facts.Endpoint, ready int64) {
	endpoints, known := v.ReadyEndpoints(e.Service)
	switch {
	case !known:
	case endpoints == 0 && ready > 0:
		found.add(e.Service, "spec.selector", "Compare the selector of the Service with the labels of the pods.",
			"the Service has no ready endpoint, and ready replicas of %s: %d", e.Workload.Place(""), ready)
	case endpoints == 0:
		found.add(e.Service, "", "Start the scaler, or correct the selector of the Service.", "the Service has no ready endpoint, so every call of KEDA fails%s", e.And())
	case int64(endpoints) < ready:
		found.addAs(Info, e.Service, "", "", "the Service has %s, and ready replicas of %s: %d", facts.Count(endpoints, "ready endpoint"), e.Workload.Place(""), ready)
	}
}

// checkVersions looks for ready pods of the scaler with several images. Those of a rollout under way are no
// finding.
func (v *view) checkVersions(found *findings, workload *object.Object) {
	containers := workload.At("spec", "template", "spec", "containers").List()
	if len(containers) == 0 {
		return
	}
	var images []string
	for _, pod := range v.PodsOf(workload) {
		ready := pod.At("status", "conditions").Condition("Ready")
		if ready.At("status").Text() != "True" {
			continue
		}
		if since := ready.At("lastTransitionTime").Moment(); since.IsZero() || v.Now.Sub(since) < stuckAfter {
			return
		}
		for _, container := range pod.At("spec", "containers").List() {
			image := container.At("image").Text()
			if container.At("name").Text() == containers[0].At("name").Text() && image != "" && !slices.Contains(images, image) {
				images = append(images, image)
			}
		}
	}
	if len(images) > 1 {
		slices.Sort(images)
		found.addAs(Warning, workload, "spec.template.spec.containers[0].image", "Let the rollout finish, or delete the older Deployment.", "its ready pods run several images: %s", strings.Join(images, ", "))
	}
}
