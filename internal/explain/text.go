// Package explain prints what the inspector tells, for people and for programs.
package explain

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/terminal"
)

// Text writes an explanation for people: for each trigger the verdict first, then
// why, what was read, what KEDA was told, and what to do if something is wrong.
func Text(w io.Writer, r *pb.ExplainResponse) error {
	now := r.GetAt().AsTime()
	var b strings.Builder
	for n, e := range r.GetExplanations() {
		if n > 0 {
			b.WriteString("\n")
		}
		p := page{now: now, several: len(r.GetExplanations()) > 1}
		p.explain(e)
		p.write(&b)
	}
	if text := r.GetConfigurationError(); text != "" {
		p := page{}
		p.add("warning", "The configuration file is broken, so an older one is in force:")
		for line := range strings.Lines(text) {
			p.add("warning", strings.TrimRight(line, "\n"))
		}
		b.WriteString("\n")
		p.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// A page is the explanation of one trigger: lines below labels, after the verdict.
type page struct {
	now time.Time
	// several says that the ScaledObject has other triggers.
	several bool
	verdict string
	lines   [][2]string
}

// labelWidth is enough for the labels.
const labelWidth = 12

func (p *page) add(label, text string) { p.lines = append(p.lines, [2]string{label, text}) }

func (p *page) addf(label, format string, args ...any) { p.add(label, fmt.Sprintf(format, args...)) }

func (p *page) write(b *strings.Builder) {
	if p.verdict != "" {
		b.WriteString(p.verdict + "\n")
	}
	last := ""
	for _, line := range p.lines {
		label := line[0]
		if label == last {
			label = ""
		}
		last = line[0]
		b.WriteString(terminal.PadRight(label, labelWidth) + line[1] + "\n")
	}
}

func (p *page) explain(e *pb.Explanation) {
	p.verdict = verdict(e, p.now, p.several)
	if d := e.GetDecision(); d != nil {
		p.why(d, e.GetReading())
	}
	if r := e.GetReading(); r != nil {
		p.queue(e.GetTrigger(), r)
	}
	if e.GetWatching() != nil {
		p.watching(e.GetWatching(), e.GetProblem().GetSince() != nil)
	}
	if e.GetDecision() == nil && e.GetWatching() == nil {
		p.sent(e.GetTrigger())
	}
	p.conversation(e.GetConversation(), e.GetWatching() != nil)
	if text := e.GetReading().GetWarning(); text != "" {
		p.add("warning", text)
	}
	if text := e.GetReading().GetHint(); text != "" {
		p.add("hint", text)
	}
	if e.GetProblem() != nil {
		p.problem(e)
	}
}

// verdict is the one line that says it all.
func verdict(e *pb.Explanation, now time.Time, several bool) string {
	name := e.GetTrigger().GetNamespace() + "/" + e.GetTrigger().GetScaledObject()
	if several && e.GetTrigger().GetName() != "" {
		name += ", trigger " + e.GetTrigger().GetName() + ","
	}
	d := e.GetDecision()
	if d == nil {
		state := "is unknown"
		if e.GetWatching() == nil {
			state = "is refused"
		}
		return fmt.Sprintf("%s %s: KEDA gets %s and holds the replicas%s", name, state, e.GetProblem().GetCode(), toldError(e, now))
	}
	activity := "inactive"
	if d.GetActive() {
		activity = "active"
	}
	return fmt.Sprintf("%s wants %s (%s / %s per replica), %s; %s", name, plural(d.GetWantedReplicas(), "replica"),
		messages(d.GetValue()), number(d.GetTarget()), activity, told(e, now))
}

// told says whether KEDA knows the decision.
func told(e *pb.Explanation, now time.Time) string {
	d := e.GetDecision()
	for _, t := range e.GetConversation().GetTold() {
		ago := since(t.GetAt(), now) + " ago"
		switch {
		case t.GetCode() != "":
			return fmt.Sprintf("KEDA was told %s %s", t.GetCode(), ago)
		case t.Value != nil && t.GetValue() != d.GetValue():
			return fmt.Sprintf("KEDA was told %s %s", messages(t.GetValue()), ago)
		case t.Active != nil && t.GetActive() != d.GetActive():
			return fmt.Sprintf("KEDA was told %s %s", activity(t.GetActive()), ago)
		case t.Value != nil || t.Active != nil:
			return "KEDA was told " + ago
		}
	}
	return "KEDA was not told yet"
}

// toldError says when KEDA got the error.
func toldError(e *pb.Explanation, now time.Time) string {
	for _, t := range e.GetConversation().GetTold() {
		switch {
		case t.GetCode() != "":
			return "; it was told " + since(t.GetAt(), now) + " ago"
		case t.Value != nil || t.Active != nil:
			return "; it was not told yet"
		}
	}
	if at := e.GetConversation().GetAskedAt(); at != nil {
		return "; it asked " + since(at, now) + " ago"
	}
	return ""
}

// why says what the value is made of, step by step.
func (p *page) why(d *pb.Decision, r *pb.Reading) {
	value := d.GetValue()
	if len(d.GetSteps()) > 0 {
		value = d.GetSteps()[0].GetBefore()
	}
	p.addf("why", "%s: %s", messages(value), counted(d, r))
	for _, step := range d.GetSteps() {
		change := "stays " + number(step.GetAfter())
		if step.GetAfter() != step.GetBefore() {
			change = number(step.GetBefore()) + " becomes " + number(step.GetAfter())
		}
		text := step.GetReason() + ": " + change
		if step.GetSentence() != "" {
			text += ". " + strings.ReplaceAll(step.GetSentence(), "`", "")
		}
		p.add("why", text)
	}
	if drain := d.GetDrain(); drain != nil {
		p.add("why", drainText(drain))
	}
	switch {
	case !d.GetActive() && d.GetValue() > 0:
		p.addf("why", "inactive: not above the activation of %s, so no first replica starts", number(d.GetActivation()))
	case d.GetActivation() > 0:
		p.addf("why", "%s; the activation is %s", activity(d.GetActive()), number(d.GetActivation()))
	}
	if d.GetUntil() != nil {
		p.addf("why", "this may change in %s although nothing else is read", until(d.GetUntil(), p.now))
	}
}

// drainText says what a drain time was computed from.
func drainText(d *pb.Drain) string {
	least := ""
	if d.GetLowerBound() {
		least = "at least "
	}
	return fmt.Sprintf("to be drained within %s by replicas that finish %s/s each, while %s%s/s arrive (%s/s over %s, %s/s of late)",
		age(d.GetDrainSeconds()), number(d.GetThroughput()), least, number(d.GetArrivals()), number(d.GetSlow()), age(d.GetWindowSeconds()), number(d.GetFast()))
}

// counted names the parts of the backlog that count and are there.
func counted(d *pb.Decision, r *pb.Reading) string {
	var parts []string
	for _, part := range []struct {
		name, text string
		n          int64
	}{{"ready", " ready", r.GetReady()}, {"due", " due", r.GetDue()}, {"inFlight", " in flight", r.GetInFlight()}} {
		if part.n > 0 && slices.Contains(d.GetCounted(), part.name) {
			parts = append(parts, integer(part.n)+part.text)
		}
	}
	if len(parts) == 0 {
		return "there is nothing that counts (" + strings.Join(d.GetCounted(), ", ") + ")"
	}
	return strings.Join(parts, " + ")
}

// sent is what KEDA sent, for a trigger that is refused.
func (p *page) sent(t *pb.Trigger) {
	for _, key := range slices.Sorted(maps.Keys(t.GetMetadata())) {
		p.addf("KEDA sent", "%s: %s", key, strconv.Quote(t.GetMetadata()[key]))
	}
}
