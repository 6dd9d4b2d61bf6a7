// Package explain prints the answers of the inspector as text, tables and JSON.
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

// Text writes an explanation as text: for each trigger the verdict, the steps of the
// decision, the reading, the last responses to KEDA, and advice if something is wrong.
func Text(w io.Writer, r *pb.ExplainResponse) error {
	now := r.GetAt().AsTime()
	var b strings.Builder
	for n, e := range r.GetExplanations() {
		if n > 0 {
			b.WriteString("\n")
		}
		p := page{now: now, several: len(r.GetExplanations()) > 1, unit: unitOf(e)}
		p.explain(e)
		p.write(&b)
	}
	writeFaults(&b, r.GetConfigurationError())
	_, err := io.WriteString(w, b.String())
	return err
}

// writeFaults writes the faults of the configuration file, if there are any.
func writeFaults(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	p := page{}
	p.add("warning", "The configuration file has faults, so an older version is in force:")
	for line := range strings.Lines(text) {
		p.add("warning", strings.TrimRight(line, "\n"))
	}
	b.WriteString("\n")
	p.write(b)
}

// A page is the explanation of one trigger: the verdict and then labelled lines.
type page struct {
	now time.Time
	// several reports whether the ScaledObject has other triggers.
	several bool
	unit    unit
	verdict string
	lines   [][2]string
}

// labelWidth is the width of the column of labels, in characters.
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
	if named := e.GetTrigger().GetPolicy(); named != "" {
		p.policy(e.GetPolicy())
		p.calls(e.GetCallHistory(), true)
		p.problem(e)
		return
	}
	if d := e.GetDecision(); d != nil {
		p.decision(d, e.GetReading())
	}
	if r := e.GetReading(); r != nil {
		p.queue(e.GetTrigger(), r)
	}
	if e.GetReadStatus() != nil {
		p.reads(e.GetReadStatus(), e.GetProblem().GetSince() != nil)
	}
	if e.GetDecision() == nil && e.GetReadStatus() == nil {
		p.metadata(e.GetTrigger())
	}
	p.calls(e.GetCallHistory(), e.GetReadStatus() != nil && !isJobs(e))
	if text := e.GetReading().GetWarning(); text != "" {
		p.add("warning", text)
	}
	if text := e.GetReading().GetHint(); text != "" {
		p.add("hint", text)
	}
	p.problem(e)
}

// verdict is the first line: the decision or the error, and when KEDA got it.
func verdict(e *pb.Explanation, now time.Time, several bool) string {
	name := e.GetTrigger().GetNamespace() + "/" + e.GetTrigger().GetScaledObject()
	if several && e.GetTrigger().GetName() != "" {
		name += ", trigger " + e.GetTrigger().GetName() + ","
	}
	d := e.GetDecision()
	if d == nil {
		state := "is unknown"
		if e.GetReadStatus() == nil && e.GetTrigger().GetPolicy() == "" {
			state = "is rejected"
		}
		return fmt.Sprintf("%s %s: KEDA gets %s and %s%s", name, state, e.GetProblem().GetCode(), holding(e), errorReported(e, now))
	}
	wanted := wantedOf(e)
	from := unitOf(e).amount(d.GetValue()) + " / " + unitOf(e).number(d.GetTarget()) + " per " + wanted
	if policy := e.GetTrigger().GetPolicy(); policy != "" {
		from = "AutoscalerPolicy " + policy
	}
	return fmt.Sprintf("%s wants %s (%s), %s; %s", name, plural(d.GetWantedReplicas(), wanted), from, activity(d.GetActive()), reported(e, now))
}

// reported says when KEDA got the decision, or what it got instead.
func reported(e *pb.Explanation, now time.Time) string {
	d := e.GetDecision()
	for _, t := range e.GetCallHistory().GetLastResponses() {
		ago := since(t.GetAt(), now) + " ago"
		switch {
		case t.GetCode() != "":
			return fmt.Sprintf("KEDA got %s %s", t.GetCode(), ago)
		case t.Value != nil && t.GetValue() != d.GetValue():
			return fmt.Sprintf("KEDA got %s %s", unitOf(e).amount(t.GetValue()), ago)
		case t.Active != nil && t.GetActive() != d.GetActive():
			return fmt.Sprintf("KEDA got %s %s", activity(t.GetActive()), ago)
		case t.Value != nil || t.Active != nil:
			return "reported to KEDA " + ago
		}
	}
	return "not yet reported to KEDA"
}

// errorReported says when KEDA got the error.
func errorReported(e *pb.Explanation, now time.Time) string {
	for _, t := range e.GetCallHistory().GetLastResponses() {
		switch {
		case t.GetCode() != "":
			return "; reported " + since(t.GetAt(), now) + " ago"
		case t.Value != nil || t.Active != nil:
			return "; not yet reported"
		}
	}
	if at := e.GetCallHistory().GetLastCallAt(); at != nil {
		return "; last call " + since(at, now) + " ago"
	}
	return ""
}

// decision prints the value step by step, and whether it makes the trigger active.
func (p *page) decision(d *pb.Decision, r *pb.Reading) {
	p.value(d, r)
	if text := jobsText(d); text != "" {
		p.add("decision", text)
	}
	switch {
	case !d.GetActive() && d.GetValue() > 0:
		p.addf("decision", "inactive: not above the activation of %s, so no first replica starts", p.unit.number(d.GetActivation()))
	case d.GetActivation() > 0:
		p.addf("decision", "%s; the activation is %s", activity(d.GetActive()), p.unit.number(d.GetActivation()))
	}
	if d.GetValidUntil() != nil {
		p.addf("decision", "may change in %s without a new reading", until(d.GetValidUntil(), p.now))
	}
}

// value prints the value step by step.
func (p *page) value(d *pb.Decision, r *pb.Reading) {
	value := d.GetValue()
	if len(d.GetSteps()) > 0 {
		value = d.GetSteps()[0].GetBefore()
	}
	p.addf("decision", "%s: %s", p.unit.amount(value), counted(d, r))
	for _, step := range d.GetSteps() {
		change := "stays " + p.unit.number(step.GetAfter())
		if step.GetAfter() != step.GetBefore() {
			change = p.unit.number(step.GetBefore()) + " -> " + p.unit.number(step.GetAfter())
		}
		text := step.GetReason() + ": " + change
		if step.GetDescription() != "" {
			text += ". " + strings.ReplaceAll(step.GetDescription(), "`", "")
		}
		p.add("decision", text)
	}
	if drain := d.GetDrain(); drain != nil {
		p.add("decision", drainText(drain))
	}
}

// drainText describes what a drain time was computed from.
func drainText(d *pb.Drain) string {
	least := ""
	if d.GetLowerBound() {
		least = "at least "
	}
	return fmt.Sprintf("drain within %s: each replica finishes %s/s, %s%s/s arrive (%s/s over %s, %s/s recently)",
		age(d.GetDrainSeconds()), number(d.GetThroughput()), least, number(d.GetArrivals()), number(d.GetSlow()), age(d.GetWindowSeconds()), number(d.GetFast()))
}

// counted lists the parts of the backlog that count and are not zero, or says that the value is
// measured.
func counted(d *pb.Decision, r *pb.Reading) string {
	if r != nil && r.Measured != nil {
		return "measured"
	}
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
		return "nothing to count (" + strings.Join(d.GetCounted(), ", ") + ")"
	}
	return strings.Join(parts, " + ")
}

// metadata prints what KEDA sent for a rejected trigger.
func (p *page) metadata(t *pb.Trigger) {
	for _, key := range slices.Sorted(maps.Keys(t.GetMetadata())) {
		p.addf("metadata", "%s: %s", key, strconv.Quote(t.GetMetadata()[key]))
	}
}
