package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// policyChecks are about AutoscalerPolicies.
func policyChecks() []Check {
	return []Check{
		{
			Code: "P601", Title: "A mistake in a policy, or windows that contradict each other", Severity: Error, Offline: true, needs: []need{needPolicies}, reads: []object.Kind{object.Policies},
			Why:      "A policy with a mistake decides nothing, and KEDA holds the replicas. Of a floor above a ceiling the ceiling counts; a window that never opens does nothing.",
			Change:   "scaler policy check FILE prints the windows of the next days and what they do when the clock changes.",
			Evidence: []string{"kedacore/keda#4677", "kedacore/keda#2031"},
			find:     checkPolicies,
		},
		{
			Code: "P602", Title: "A ScaledObject that keeps a policy from deciding", Severity: Warning, Offline: true, reads: []object.Kind{object.ScaledObjects, object.Policies},
			Why:      "The policy decides on a number, and a setting of the ScaledObject changes it afterwards.",
			Change:   "Set the ScaledObject as in the example of the policies guide: no other trigger, no window, no minimum of its own.",
			Evidence: []string{"argoproj/argo-rollouts#4847"},
			find:     checkDriven,
		},
	}
}

// ahead is the time for which windows are looked at.
const ahead = 14 * 24 * time.Hour

func checkPolicies(v *view, found *findings) {
	for _, o := range v.ByKind[object.Policies] {
		// Objects of a cluster are JSON, and so is YAML.
		data, err := json.Marshal(o.Fields)
		if err != nil {
			found.skip(fmt.Sprintf("%s: %v", o.Place(""), err))
			continue
		}
		file, err := v.Policies.Check(data)
		if err != nil {
			found.add(o, "", "", "%v", err)
			continue
		}
		for i := range file.Policies {
			p := &file.Policies[i]
			for _, mistake := range p.Mistakes {
				found.add(o, mistakeField(mistake.Text), "", "%s", mistake.Text)
			}
			for _, remark := range p.Remarks(v.Now, v.Now.Add(ahead)) {
				severity := Info
				if remark.Conflict {
					severity = Warning
				}
				found.addAs(severity, o, "spec.schedules", "", "%s", remark.Text)
			}
		}
	}
}

// mistakeField returns the path of the field that the text of a mistake begins with.
func mistakeField(text string) string {
	end := strings.IndexAny(text, ": \"[")
	if end < 0 {
		return ""
	}
	if name := text[:end]; strings.HasPrefix(name, "metadata") || name == "kind" || name == "apiVersion" {
		return name
	}
	path := "spec." + strings.TrimSuffix(text[:end], ".")
	if strings.HasPrefix(text[end:], " \"") && slices.Contains([]string{"signal", "schedule", "limiter"}, text[:end]) {
		path += "s"
	}
	return path
}

func checkDriven(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, ours []*facts.Entry) {
		for _, e := range ours {
			name := e.Metadata["policy"]
			if name == "" {
				continue
			}
			switch p := v.Object(object.Policies, s.Namespace(), name); {
			case p != nil:
				v.compare(found, s, e, p)
			case !v.Online:
				found.skipMissing(v, "policies")
			case v.Unread[object.Policies] == "":
				found.addAs(Error, s.Object, facts.Field(e.Index, "metadata.policy"), "Create the policy, or correct the name.", "there is no AutoscalerPolicy %s/%s", s.Namespace(), name)
			}
		}
	})
}

// compare holds the settings of a ScaledObject to what its policy needs: docs/hands.md has the reasons.
func (v *view) compare(found *findings, s *facts.Scaled, e *facts.Entry, p *object.Object) {
	spec := p.At("spec")
	if spec.At("mode").Text() == "Observe" || spec.At("via").Text() == "Scale" {
		found.addAs(Error, s.Object, facts.Field(e.Index, "metadata.policy"), "Remove the trigger, or change the policy to mode: Enforce and via: KEDA.",
			"the policy answers no trigger: mode %q, via %q", spec.At("mode").Text(), spec.At("via").Text())
		return
	}
	if target := facts.TargetOf(p); target != s.Target {
		found.addAs(Error, s.Object, "spec.scaleTargetRef", "Correct scaleTargetRef of one of them.", "it scales %s, and the policy decides on %s", s.Target, target)
	}
	if n := len(s.Triggers); n > 1 {
		found.add(s.Object, "spec.triggers", "Make the others signals of the policy.", "there are %d triggers, and the largest of them counts, so the policy's ceilings do not bind", n)
	}
	least, most := spec.At("minReplicas").NumberOr(0), spec.At("maxReplicas").NumberOr(0)
	if own := s.At("spec", "minReplicaCount").NumberOr(0); own > least {
		found.add(s.Object, "spec.minReplicaCount", "Set minReplicaCount: 0; the policy has the minimum.", "minReplicaCount is %d, and the policy goes down to %d", own, least)
	}
	if own := s.At("spec", "maxReplicaCount").NumberOr(defaultMaximum); own < most {
		found.add(s.Object, "spec.maxReplicaCount", fmt.Sprintf("Set maxReplicaCount: %d or more.", most), "maxReplicaCount is %d, and the policy goes up to %d", own, most)
	}
	const path = "spec.advanced.horizontalPodAutoscalerConfig.behavior"
	if seconds := s.Behavior("scaleDown").At("stabilizationWindowSeconds").NumberOr(300); seconds > 0 {
		found.add(s.Object, path, "Set behavior.scaleDown.stabilizationWindowSeconds: 0; steps.down.hold of the policy holds.",
			"the HPA keeps a larger number for %d s after the policy went down", seconds)
	}
}
