package page

import (
	"math"
	"slices"
	"strings"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// A picture is a decision as bars: one for what was read, one for each step, one for the result.
type picture struct {
	ID, Title     string
	Width, Height float64
	Rows          []pictureRow
	// Marks are vertical lines, such as the activation.
	Marks []mark
	// Ticks divide the result into replicas.
	Ticks []float64
	// TickTop and TickBottom are their ends.
	TickTop, TickBottom float64
	// MarkTop and MarkBottom are the ends of the vertical lines.
	MarkTop, MarkBottom float64
	Caption             string
}

// A pictureRow is one bar with its label.
type pictureRow struct {
	Y float64
	// Middle is the middle of the row, for texts.
	Middle float64
	Label  string
	// Text stands at the right, and Why below.
	Text, Why string
	Bars      []bar
	// Unknown reports that there is no number; the row is hatched.
	Unknown bool
}

// A bar is a part of a row.
type bar struct {
	X, Y, Width, Height float64
	// Class names what it stands for, which has a pattern of its own.
	Class, Name string
}

const (
	pictureWidth, pictureLeft, pictureRight = 860, 150, 290
	rowHeight, barHeight, pictureTop        = 34, 20, 26
)

// A scale maps values to pixels.
type scale struct{ perUnit float64 }

func newScale(top float64) scale {
	return scale{(pictureWidth - pictureLeft - pictureRight) / max(top, 1)}
}

func (s scale) x(value float64) float64 { return pictureLeft + max(value, 0)*s.perUnit }

func (s scale) bar(from, to float64, class, name string) bar {
	from, to = min(from, to), max(from, to)
	return bar{X: s.x(from), Width: max(s.x(to)-s.x(from), 1), Height: barHeight, Class: class, Name: name}
}

// add adds a row, whose bars get its height.
func (p *picture) add(r pictureRow) {
	r.Y = pictureTop + float64(len(p.Rows))*rowHeight
	r.Middle = r.Y + barHeight/2
	for i := range r.Bars {
		r.Bars[i].Y = r.Y
	}
	p.Rows = append(p.Rows, r)
	p.Height = r.Y + rowHeight + 24
	p.MarkTop, p.MarkBottom = pictureTop-4, r.Y+barHeight+4
}

// A step is one adjustment of a decision.
type step struct {
	Reason, Name, Description string
	Before, After             float64
}

// addSteps adds a row for each step: what stayed, and what was added or taken away.
func (p *picture) addSteps(on scale, steps []step, format func(float64) string) {
	for _, s := range steps {
		r := pictureRow{Label: strings.TrimSpace(s.Reason + " " + s.Name), Text: "stays " + format(s.After), Why: s.Description}
		r.Bars = append(r.Bars, on.bar(0, min(s.Before, s.After), "kept", "unchanged"))
		switch {
		case s.After > s.Before:
			r.Text = format(s.Before) + " → " + format(s.After)
			r.Bars = append(r.Bars, on.bar(s.Before, s.After, "added", "added"))
		case s.After < s.Before:
			r.Text = format(s.Before) + " → " + format(s.After)
			r.Bars = append(r.Bars, on.bar(s.After, s.Before, "taken", "taken away"))
		}
		p.add(r)
	}
}

// decisionPicture returns the picture of the decision on a trigger that names a queue; nil without
// one.
func decisionPicture(id string, e *pb.Explanation, verdict string) *picture {
	d, r := e.GetDecision(), e.GetReading()
	if d == nil || e.GetTrigger().GetPolicy() != "" {
		return nil
	}
	format := func(f float64) string { return explain.Value(e, f) }
	steps := make([]step, 0, len(d.GetSteps()))
	top := max(d.GetValue(), d.GetActivation(), d.GetTarget())
	for _, s := range d.GetSteps() {
		steps = append(steps, step{Reason: s.GetReason(), Description: plain(s.GetDescription()), Before: s.GetBefore(), After: s.GetAfter()})
		top = max(top, s.GetBefore(), s.GetAfter())
	}
	parts := countedParts(d, r)
	whole := 0.0
	for _, part := range parts {
		whole += part.n
	}
	on := newScale(max(top, whole))
	p := &picture{ID: id, Title: "From the reading to the value", Width: pictureWidth, Caption: verdict}
	p.add(readRow(on, parts, format))
	p.addSteps(on, steps, format)
	result := pictureRow{Label: "value", Text: format(d.GetValue()), Bars: []bar{on.bar(0, d.GetValue(), "result", "value")}}
	p.add(result)
	last := &p.Rows[len(p.Rows)-1]
	last.Text += " / " + format(d.GetTarget()) + " → " + plural(int(d.GetWantedReplicas()), "replica")
	p.TickTop, p.TickBottom = last.Y, last.Y+barHeight
	p.Ticks = ticks(on, d.GetTarget(), d.GetValue())
	if d.GetActivation() > 0 {
		p.Marks = append(p.Marks, mark{At: on.x(d.GetActivation()), Text: "activation " + format(d.GetActivation()), Class: "activation"})
	}
	return p
}

// maxTicks bounds the lines that divide a value into replicas: more could not be distinguished.
const maxTicks = 80

// ticks returns where one replica ends and the next begins.
func ticks(on scale, target, value float64) []float64 {
	if target <= 0 || value/target > maxTicks {
		return nil
	}
	var all []float64
	for at := target; at < value; at += target {
		all = append(all, on.x(at))
	}
	return all
}

// A counted is a part of the backlog that counts.
type counted struct {
	class, name string
	n           float64
}

// countedParts returns the parts of the backlog that count; one of a measured number.
func countedParts(d *pb.Decision, r *pb.Reading) []counted {
	if r != nil && r.Measured != nil {
		return []counted{{"measured", "measured", r.GetMeasured()}}
	}
	var parts []counted
	for _, part := range []struct {
		key string
		counted
	}{
		{"ready", counted{"ready", "ready", float64(r.GetReady())}},
		{"due", counted{"due", "due", float64(r.GetDue())}},
		{"inFlight", counted{"inflight", "in flight", float64(r.GetInFlight())}},
	} {
		if slices.Contains(d.GetCounted(), part.key) {
			parts = append(parts, part.counted)
		}
	}
	return parts
}

// readRow is the row of what was read.
func readRow(on scale, parts []counted, format func(float64) string) pictureRow {
	r := pictureRow{Label: "read"}
	at := 0.0
	var texts []string
	for _, part := range parts {
		if part.n > 0 {
			r.Bars = append(r.Bars, on.bar(at, at+part.n, part.class, part.name))
			texts = append(texts, format(part.n)+" "+part.name)
		}
		at += part.n
	}
	r.Text = strings.Join(texts, " + ")
	if r.Text == "" {
		r.Text = "nothing to count"
	}
	return r
}

// policyPicture returns the picture of the decision on a policy: what each signal needs, the steps,
// and what happens next; nil without a decision.
func policyPicture(id string, x *pb.Policy, verdict string) *picture {
	if x.ReportedReplicas == nil {
		return nil
	}
	top := max(float64(x.GetReportedReplicas()), float64(x.GetWorkload().GetReplicas()), float64(x.GetNext().GetReplicas()))
	var steps []step
	for _, s := range x.GetSteps() {
		steps = append(steps, step{
			Reason: s.GetReason(), Name: s.GetName(), Description: plain(s.GetDescription()),
			Before: float64(s.GetBefore()), After: float64(s.GetAfter()),
		})
		top = max(top, float64(s.GetBefore()), float64(s.GetAfter()))
	}
	for _, s := range x.GetSignals() {
		top = max(top, math.Ceil(s.GetNeed()))
	}
	b := x.GetBounds()
	shown := max(top, float64(b.GetFloor()))
	if float64(b.GetCeiling()) <= 3*max(shown, 1) {
		shown = max(shown, float64(b.GetCeiling()))
	}
	on := newScale(shown)
	p := &picture{ID: id, Title: "From the signals to the replicas", Width: pictureWidth, Caption: verdict}
	for _, s := range x.GetSignals() {
		p.add(signalRow(on, s))
	}
	replicas := explain.Number
	p.addSteps(on, steps, replicas)
	p.add(pictureRow{Label: "reported", Text: plural(int(x.GetReportedReplicas()), "replica"), Bars: []bar{on.bar(0, float64(x.GetReportedReplicas()), "result", "reported")}})
	last := &p.Rows[len(p.Rows)-1]
	p.TickTop, p.TickBottom = last.Y, last.Y+barHeight
	p.Ticks = ticks(on, 1, float64(x.GetReportedReplicas()))
	if w := x.GetWorkload(); w.Replicas != nil {
		p.add(pictureRow{Label: "now", Text: plural(int(w.GetReplicas()), "replica"), Bars: []bar{on.bar(0, float64(w.GetReplicas()), "kept", "now")}})
	}
	if n := x.GetNext(); n != nil && n.GetActor() != "none" {
		p.add(pictureRow{
			Label: "next, by " + n.GetActor(), Text: plural(int(n.GetReplicas()), "replica"), Why: n.GetReason(),
			Bars: []bar{on.bar(0, float64(n.GetReplicas()), "next", "next")},
		})
	}
	if b.GetFloor() > 0 {
		p.Marks = append(p.Marks, mark{At: on.x(float64(b.GetFloor())), Text: "floor " + replicas(float64(b.GetFloor())), Class: "floor"})
	}
	if c := float64(b.GetCeiling()); b != nil && c <= shown && b.GetCeiling() != b.GetFloor() {
		p.Marks = append(p.Marks, mark{At: on.x(c), Text: "ceiling " + replicas(c), Class: "ceiling"})
	}
	return p
}

// signalRow is the row of what one signal needs.
func signalRow(on scale, s *pb.Signal) pictureRow {
	r := pictureRow{Label: s.GetName()}
	switch {
	case s.Need != nil:
		r.Text = "needs " + explain.Number(s.GetNeed())
		r.Bars = []bar{on.bar(0, s.GetNeed(), "ready", "need")}
		if s.GetState() != "Known" {
			r.Why = strings.ToLower(s.GetState())
		}
	case s.Value != nil:
		r.Text = explain.Number(s.GetValue()) + ", used by expressions"
	default:
		r.Text, r.Unknown = unknown, true
		r.Bars = []bar{on.bar(0, (pictureWidth-pictureLeft-pictureRight)/on.perUnit, "unknown", unknown)}
	}
	return r
}

// plain returns a description without the marks of Markdown.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }
