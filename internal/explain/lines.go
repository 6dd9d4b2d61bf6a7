package explain

import (
	"fmt"
	"strings"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// queue says what was read, and when.
func (p *page) queue(t *pb.Trigger, r *pb.Reading) {
	p.addf("queue", "%s %q on connection %s, read %s ago", t.GetLayout(), t.GetQueue(), t.GetConnection(), age(r.GetAgeSeconds()))
	text := fmt.Sprintf("%d ready, %d due, %s in flight (%s)", r.GetReady(), r.GetDue(), optional(r.InFlight), r.GetQuality())
	if r.OldestAgeSeconds != nil {
		text += "; the oldest waits " + age(r.GetOldestAgeSeconds()) + kind(r.GetOldestKind())
	}
	p.add("queue", text)
	for _, part := range r.GetParts() {
		p.add("queue", partText(part))
	}
	if r.GetOrphaned() > 0 {
		p.addf("queue", "%d of these are orphaned: nothing in the framework moves them", r.GetOrphaned())
	}
	if r.GetIgnored() > 0 {
		p.addf("queue", "%d more have been orphaned for longer than orphanedAfter and do not count", r.GetIgnored())
	}
	if r.GetMissing() {
		p.add("queue", "it does not exist, which in many engines is what an empty queue is")
	}
	if r.GetPaused() {
		p.add("queue", "it is paused: the engine hands out nothing")
	}
	if r.GetMaxUseful() > 0 {
		p.addf("queue", "more than %s cannot help", plural(r.GetMaxUseful(), "worker"))
	}
	if r.GetNextDue() != nil {
		p.addf("queue", "the next delayed message falls due in %s", until(r.GetNextDue(), p.now))
	}
}

// kind says how an age is known, where that is not exactly.
func kind(text string) string {
	if text == "exact" {
		return ""
	}
	return " (" + text + ")"
}

func partText(part *pb.Part) string {
	text := fmt.Sprintf("%s: %d ready, %d due, %s in flight", part.GetQueue(), part.GetReady(), part.GetDue(), optional(part.InFlight))
	if part.Value != nil {
		text += ", asks for " + number(part.GetValue())
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
	if part.GetCapped() {
		text += ", capped"
	}
	return text
}

// polling is the mode in which no engine tells of changes.
const polling = "poll"

// watching says how changes are noticed, and what woke the queue.
func (p *page) watching(w *pb.Watching, failing bool) {
	var parts []string
	if last := w.GetLast(); last != nil {
		parts = append(parts, fmt.Sprintf("looked at %s ago (%s)", since(last.GetAt(), p.now), last.GetCause()))
	}
	// While reading fails there is nothing to be noticed.
	if mode := w.GetWakeUp(); mode != "" && !failing {
		text := "changes are noticed by " + mode
		if w.GetServer() != "" {
			text += " (" + w.GetServer() + ")"
		}
		parts = append(parts, text)
	}
	switch {
	case failing:
	case w.GetArmed():
		parts = append(parts, "armed")
	case w.GetWakeUp() != "" && w.GetWakeUp() != polling:
		parts = append(parts, "not armed")
	}
	p.add("watching", strings.Join(parts, "; "))
	if w.GetWakeUpReason() != "" && !failing {
		p.addf("watching", "not better because: %s", w.GetWakeUpReason())
	}
	if w.GetStirredAt() != nil {
		p.addf("watching", "the engine last told of a change %s ago", since(w.GetStirredAt(), p.now))
	}
	if w.GetTraceless() {
		p.add("watching", "work that comes and is taken between two looks leaves no trace here: holdActive counts from work that was seen")
	}
	switch woke := w.GetWoke(); {
	case woke == nil:
	case woke.GetCause() == "first":
		p.addf("woken", "%s ago: there was work at the first look", since(woke.GetAt(), p.now))
	default:
		p.addf("woken", "%s ago: there was work after there was none (%s)", since(woke.GetAt(), p.now), woke.GetCause())
	}
}

// conversation says what KEDA asked and was told. A trigger that is not accepted has
// no streams.
func (p *page) conversation(c *pb.Conversation, accepted bool) {
	if c.GetAskedAt() == nil {
		p.add("KEDA", "does not ask: the configuration watches this queue")
		return
	}
	streams := ""
	switch n := int64(c.GetOpenStreams()); {
	case n > 0:
		streams = "; it holds " + plural(n, "stream")
	case accepted:
		streams = "; it holds no stream, so new work shows at its next poll (is the type external-push?)"
	}
	p.addf("KEDA", "asked %s %s ago%s", c.GetAskedBy(), since(c.GetAskedAt(), p.now), streams)
	for _, t := range c.GetTold() {
		p.addf("KEDA", "%s told %s %s ago, the same for %s", t.GetMethod(), answer(t), since(t.GetAt(), p.now), since(t.GetSince(), p.now))
	}
}

// answer is what a method told.
func answer(t *pb.Told) string {
	switch {
	case t.GetCode() != "":
		return t.GetCode()
	case t.Value != nil:
		return messages(t.GetValue())
	case t.Active != nil:
		return activity(t.GetActive())
	default:
		return number(t.GetTarget()) + " per replica"
	}
}

// problem says what is wrong, what comes of it, and what to do.
func (p *page) problem(e *pb.Explanation) {
	problem := e.GetProblem()
	text := problem.GetReason()
	if problem.GetSince() != nil {
		text += " for " + since(problem.GetSince(), p.now)
	}
	p.addf("problem", "%s: %s", text, problem.GetMessage())
	switch end := problem.GetBridgedUntil(); {
	case end == nil:
	case e.GetDecision() != nil:
		p.addf("problem", "the last reading stands in for another %s; then KEDA gets an error and holds the replicas", until(end, p.now))
	default:
		p.addf("problem", "the last reading stood in until %s ago", since(end, p.now))
	}
	if problem.GetAdvice() != "" {
		p.add("what to do", problem.GetAdvice())
	}
}
