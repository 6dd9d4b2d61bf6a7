package explain

import (
	"fmt"
	"strings"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// queue prints the reading and its age.
func (p *page) queue(t *pb.Trigger, r *pb.Reading) {
	p.addf("queue", "%s %q on connection %s, read %s ago", t.GetLayout(), t.GetQueue(), t.GetConnection(), age(r.GetAgeSeconds()))
	if r.Measured != nil {
		p.addf("queue", "measured: %s", p.unit.number(r.GetMeasured()))
		return
	}
	text := fmt.Sprintf("%d ready, %d due, %s in flight (%s)", r.GetReady(), r.GetDue(), optional(r.InFlight), r.GetQuality())
	if r.OldestAgeSeconds != nil {
		text += "; oldest waiting for " + age(r.GetOldestAgeSeconds()) + accuracy(r.GetOldestKind())
	}
	p.add("queue", text)
	for _, part := range r.GetParts() {
		p.add("queue", partText(part))
	}
	if r.GetOrphaned() > 0 {
		p.addf("queue", "%d orphaned: counted, although nothing in the framework moves them", r.GetOrphaned())
	}
	if r.GetIgnoredOrphaned() > 0 {
		p.addf("queue", "%d more orphaned for longer than orphanedAfter: not counted", r.GetIgnoredOrphaned())
	}
	if r.GetMissing() {
		p.add("queue", "does not exist; many engines keep no empty queues")
	}
	if r.GetPaused() {
		p.add("queue", "paused: the engine delivers nothing")
	}
	if r.GetMaxUsefulWorkers() > 0 {
		p.addf("queue", "more than %s do not help", plural(r.GetMaxUsefulWorkers(), "worker"))
	}
	if r.GetNextDue() != nil {
		p.addf("queue", "next delayed message due in %s", until(r.GetNextDue(), p.now))
	}
}

// accuracy is that of an age in brackets, unless it is exact.
func accuracy(text string) string {
	if text == "exact" {
		return ""
	}
	return " (" + text + ")"
}

func partText(part *pb.Part) string {
	text := fmt.Sprintf("%s: %d ready, %d due, %s in flight", part.GetQueue(), part.GetReady(), part.GetDue(), optional(part.InFlight))
	if part.Value != nil {
		text += ", value " + number(part.GetValue())
	}
	if part.Weight != nil && part.GetWeight() != 1 {
		text += ", weight " + number(part.GetWeight())
	}
	if part.GetMissing() {
		text += ", missing"
	}
	if part.GetPaused() {
		text += ", paused"
	}
	if part.GetWorkerLimited() {
		text += ", worker limit"
	}
	return text
}

// polling is the mode in which no engine notifies the scaler of changes.
const polling = "poll"

// reads prints how the queue is read and how changes are noticed.
func (p *page) reads(w *pb.ReadStatus, failing bool) {
	var parts []string
	if last := w.GetLastAttempt(); last != nil {
		parts = append(parts, fmt.Sprintf("last attempt %s ago (%s)", since(last.GetAt(), p.now), last.GetCause()))
	}
	// While reads fail, changes are not noticed.
	if mode := w.GetWakeUpMode(); mode != "" && !failing {
		text := "changes noticed by " + mode
		if w.GetServer() != "" {
			text += " (" + w.GetServer() + ")"
		}
		parts = append(parts, text)
	}
	switch {
	case failing:
	case w.GetArmed():
		parts = append(parts, "armed")
	case w.GetWakeUpMode() != "" && w.GetWakeUpMode() != polling:
		parts = append(parts, "not armed")
	}
	p.add("reads", strings.Join(parts, "; "))
	if w.GetFallbackReason() != "" && !failing {
		p.addf("reads", "fallback reason: %s", w.GetFallbackReason())
	}
	if w.GetLastChangeAt() != nil {
		p.addf("reads", "last change reported by the engine %s ago", since(w.GetLastChangeAt(), p.now))
	}
	if w.GetMissesPassingWork() {
		p.add("reads", "work that passes between two reads leaves no trace: holdActive counts from work that a read found")
	}
	switch filled := w.GetBecameNonempty(); {
	case filled == nil:
	case filled.GetCause() == "first":
		p.addf("reads", "non-empty at the first read %s ago", since(filled.GetAt(), p.now))
	default:
		p.addf("reads", "became non-empty %s ago (%s)", since(filled.GetAt(), p.now), filled.GetCause())
	}
}

// calls prints the last call of KEDA and the last response of each method. A rejected
// trigger has no streams.
func (p *page) calls(c *pb.CallHistory, accepted bool) {
	if c.GetLastCallAt() == nil {
		p.add("KEDA", "no calls: the queue is a static watch of the configuration")
		return
	}
	streams := ""
	switch n := int64(c.GetOpenStreams()); {
	case n > 0:
		streams = "; " + plural(n, "open stream")
	case accepted:
		streams = "; no open stream, so new work waits for the next poll (is the type external-push?)"
	}
	p.addf("KEDA", "last call %s %s ago%s", c.GetLastMethod(), since(c.GetLastCallAt(), p.now), streams)
	for _, t := range c.GetLastResponses() {
		p.addf("KEDA", "%s returned %s %s ago, unchanged for %s", t.GetMethod(), response(t, p.unit), since(t.GetAt(), p.now), since(t.GetUnchangedSince(), p.now))
	}
}

// response is the last response of a method as text.
func response(t *pb.LastResponse, u unit) string {
	switch {
	case t.GetCode() != "":
		return t.GetCode()
	case t.Value != nil:
		return u.amount(t.GetValue())
	case t.Active != nil:
		return activity(t.GetActive())
	default:
		return u.number(t.GetTarget()) + " per replica"
	}
}

// problem prints what is wrong, its effect and what to do, if anything is wrong.
func (p *page) problem(e *pb.Explanation) {
	problem := e.GetProblem()
	if problem == nil {
		return
	}
	text := problem.GetReason()
	if problem.GetSince() != nil {
		text += " for " + since(problem.GetSince(), p.now)
	}
	p.addf("problem", "%s: %s", text, problem.GetMessage())
	switch end := problem.GetReadingUsedUntil(); {
	case end == nil:
	case isJobs(e):
	case e.GetDecision() != nil:
		p.addf("problem", "the last reading is used for another %s; then KEDA gets an error and holds the replicas", until(end, p.now))
	default:
		p.addf("problem", "the last reading was used until %s ago", since(end, p.now))
	}
	if problem.GetAdvice() != "" {
		p.add("advice", problem.GetAdvice())
	}
}
