package doctor

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// scalerChecks are about the scaler and its queues.
func scalerChecks() []Check {
	return []Check{
		{
			Code: "B401", Title: "A scaler that does not serve", Severity: Error, needs: []need{needCluster}, reads: triggerKinds(object.Services, object.EndpointSlices, object.Deployments, object.Pods),
			Why:    "Without a ready replica, or a Service that leads to one, KEDA holds all replicas. Replicas of two versions may answer the same call differently. With a fault in its configuration file the scaler goes on with the version before, so a change has no effect.",
			Change: "Correct what the message names; the log of the scaler has more.",
			find:   checkServing,
		},
		{
			Code: "B402", Title: "No open stream for a push trigger", Severity: Warning, needs: []need{needCluster, needScaler, need(object.ScaledObjects)},
			Why:    "Without a stream nothing is pushed, so the first message of an idle queue waits for the next poll.",
			Change: "Look for errors of the ScaledObject (S220). A change of its spec makes KEDA open its streams again.",
			find:   checkStreams,
		},
		{
			Code: "B403", Title: "A trigger that the running scaler cannot answer", Severity: Error, needs: []need{needScaler},
			Why:    "KEDA gets an error in place of a value, and holds the replicas.",
			Change: "scaler explain NAMESPACE/NAME has the problem, since when, and what to do.",
			find:   checkProblems,
		},
		{
			Code: "B404", Title: "Changes of queues that are noticed late", Severity: Warning, needs: []need{needScaler},
			Why:    "The connection does not get the best mode of wake-ups, so an idle queue is read again and again in place of being pushed.",
			Change: "Give the user of the connection the rights, or the server the setting, that the reason names.",
			find:   checkWakeUps,
		},
		{
			Code: "B405", Title: "A connection that no trigger uses", Severity: Warning, Offline: true, needs: []need{needConfig},
			Why:    "Its credentials are a risk without a use, and a trigger that should use it may have another name in it.",
			Change: "Remove the connection from the scaler's configuration, or correct the trigger.",
			find:   checkUnused,
		},
		{
			Code: "B406", Title: "A trigger that has never been asked for", Severity: Warning, needs: []need{needCluster, needScaler, need(object.ScaledObjects), need(object.ScaledJobs)},
			Why:      "KEDA does not reach this scaler for the trigger, so the scaler does not read its queue.",
			Change:   "Compare scalerAddress with the Service of this scaler, and read the events of the ScaledObject.",
			Evidence: []string{"microsoft/azure-container-apps#364"},
			find:     checkAsked,
		},
		{
			Code: "B407", Title: "A queue without workers", Severity: Warning, needs: []need{needCluster, needScaler, need(object.ScaledObjects)}, reads: []object.Kind{object.Deployments, object.StatefulSets},
			Why:    "Messages wait, replicas are ready, and none of them takes from this queue: the workers use another name, server or virtual host.",
			Change: "Compare the name of the queue in the trigger with the one of the workers.",
			find:   checkWorkers,
		},
	}
}

// settled is how long a scaler runs before something that is missing counts.
const settled = 2 * time.Minute

// settled reports whether the scaler is known to have run for a while: by what it remembers, or by its pods,
// which all have been ready for that long.
func (v *view) settled() bool {
	for i := range v.Scaler.Triggers {
		if since := v.Scaler.Triggers[i].Since; !since.IsZero() && v.Scaler.At.Sub(since) >= settled {
			return true
		}
	}
	pods := 0
	for _, e := range v.Endpoints() {
		if e.Workload == nil {
			continue
		}
		for _, pod := range v.PodsOf(e.Workload) {
			ready := pod.At("status", "conditions").Condition("Ready")
			since := ready.At("lastTransitionTime").Moment()
			if ready.At("status").Text() != "True" || since.IsZero() || v.Now.Sub(since) < settled {
				return false
			}
			pods++
		}
	}
	return pods > 0
}

// mayHaveStarted says why something that is missing in the scaler says nothing.
const mayHaveStarted = "the scaler may have started moments ago"

// of returns the ScaledObject or ScaledJob of a trigger, or one of its name that has no more.
func (v *view) of(r *facts.Running) *object.Object {
	for _, kind := range []object.Kind{object.ScaledObjects, object.ScaledJobs} {
		if o := v.Object(kind, r.Namespace, r.ScaledObject); o != nil {
			return o
		}
	}
	return object.Named(object.ScaledObjects, r.Namespace, r.ScaledObject)
}

func checkStreams(v *view, found *findings) {
	if !v.settled() {
		found.skip(mayHaveStarted)
		return
	}
	v.EachScaled(func(s *facts.Scaled, ours []*facts.Entry) {
		known := v.Running(s)
		pushed := slices.ContainsFunc(ours, func(e *facts.Entry) bool { return e.Kind == "external-push" })
		open := slices.ContainsFunc(known, func(r *facts.Running) bool { return r.Streams > 0 })
		if len(known) == 0 || !pushed || open || s.Paused() {
			return
		}
		if v.Server(ours[0].Address).Replicas() == 1 {
			found.add(s.Object, "", "", "KEDA holds no stream to the scaler")
			return
		}
		found.addAs(Info, s.Object, "", "", "KEDA holds no stream to this replica of the scaler; another replica may have it")
	})
}

func checkProblems(v *view, found *findings) {
	for i := range v.Scaler.Triggers {
		r := &v.Scaler.Triggers[i]
		p := r.Problem
		if p == nil || p.Reason == "warming_up" {
			continue
		}
		severity, text := Error, r.Title()+": "+p.Message
		if r.Reading == nil {
			text = sentence(text) + " It has never answered since this scaler runs"
		} else if p.Reason == "unavailable" && !v.longAgo(p.Since) {
			severity, text = Warning, sentence(text)+" The last reading is used"
		}
		found.addAs(severity, v.of(r), "", p.Advice, "%s", text)
	}
}

// sentence returns a text with a mark at its end.
func sentence(text string) string {
	if strings.HasSuffix(text, "?") || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// longAgo reports whether a problem is older than a short outage.
func (v *view) longAgo(since time.Time) bool {
	return !since.IsZero() && v.Scaler.At.Sub(since) > time.Minute
}

func checkWakeUps(v *view, found *findings) {
	reasons := make(map[string]*facts.Running)
	for i := range v.Scaler.Triggers {
		if r := &v.Scaler.Triggers[i]; r.Fallback != "" && reasons[r.Connection] == nil {
			reasons[r.Connection] = r
		}
	}
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		r := reasons[name]
		found.add(object.Named(object.Connections, "", name), "", "", "the mode is %s: %s", cmp.Or(r.WakeUp, "poll"), r.Fallback)
	}
}

func checkUnused(v *view, found *findings) {
	used := make(map[string]bool)
	for _, name := range v.Watched {
		used[name] = true
	}
	for _, s := range v.Scaled {
		for _, e := range s.Triggers {
			used[e.Metadata["connection"]] = true
			if e.Ours && e.Metadata["connectionFromEnv"] != "" {
				found.skip("some triggers take the name of their connection from the environment")
				return
			}
		}
	}
	for _, p := range v.ByKind[object.Policies] {
		for _, signal := range p.At("spec", "signals").List() {
			used[signal.At("connection").Text()] = true
		}
	}
	if v.Scaler != nil {
		for i := range v.Scaler.Triggers {
			used[v.Scaler.Triggers[i].Connection] = true
		}
	}
	all := v.Knows(object.ScaledObjects) && v.Knows(object.ScaledJobs) && v.Knows(object.Policies)
	for _, name := range v.Connections {
		o := object.Named(object.Connections, "", name)
		switch {
		case used[name]:
		case all:
			found.add(o, "", "", "no trigger, no signal of a policy and no watch uses it")
		default:
			found.addAs(Info, o, "", "", "no trigger, signal or watch that was seen uses it; not all were seen")
		}
	}
}

func checkAsked(v *view, found *findings) {
	if !v.settled() {
		found.skip(mayHaveStarted)
		return
	}
	for _, s := range v.Scaled {
		created := s.At("metadata", "creationTimestamp").Moment()
		if !s.HasOurs() || s.Paused() || len(v.Running(s)) > 0 || created.IsZero() || v.Now.Sub(created) < stuckAfter {
			continue
		}
		found.add(s.Object, "", "", "the scaler at %s does not know it", v.Scaler.Address)
	}
}

func checkWorkers(v *view, found *findings) {
	v.EachScaled(func(s *facts.Scaled, _ []*facts.Entry) {
		w := v.Workload(s.Target)
		if w == nil || w.At("status", "readyReplicas").NumberOr(0) == 0 {
			return
		}
		for _, r := range v.Running(s) {
			if r.Reading == nil || r.Reading.Consumers != 0 || r.Reading.Ready == 0 || r.Policy != "" {
				continue
			}
			severity, waits := Info, ""
			if r.Reading.Oldest > time.Minute {
				severity, waits = Warning, ", the oldest for "+r.Reading.Oldest.Round(time.Second).String()
			}
			found.addAs(severity, s.Object, "", "", "%s: %s%s, ready replicas: %d, and the engine sees no worker", r.Title(),
				facts.Count(int(r.Reading.Ready), "waiting message"), waits, w.At("status", "readyReplicas").NumberOr(0))
		}
	})
}
