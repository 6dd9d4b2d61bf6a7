package explain

import (
	"fmt"
	"io"
	"strings"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// PolicyText writes the explanation of a policy as text: the verdict, the steps of the decision,
// each signal with its reading, the bounds, what the decision waits for, and what the HPA does
// next.
func PolicyText(w io.Writer, r *pb.ExplainPolicyResponse) error {
	p := page{now: r.GetAt().AsTime()}
	p.verdict = policyVerdict(r.GetExplanation().GetPolicy())
	p.policy(r.GetExplanation())
	var b strings.Builder
	p.write(&b)
	writeFaults(&b, r.GetConfigurationError())
	_, err := io.WriteString(w, b.String())
	return err
}

// policyVerdict is the first line: the number of replicas, or why there is none.
func policyVerdict(policy *pb.Policy) string {
	name := "AutoscalerPolicy " + policy.GetNamespace() + "/" + policy.GetName()
	switch {
	case len(policy.GetMistakes()) > 0:
		return name + " has " + plural(int64(len(policy.GetMistakes())), "mistake") + ", so it decides nothing"
	case policy.ReportedReplicas == nil && policy.GetDecidedAt() == nil:
		return name + " is not decided on yet"
	case policy.ReportedReplicas == nil:
		return name + " has no number of replicas, so they stay"
	default:
		return fmt.Sprintf("%s wants %s, %s", name, plural(int64(policy.GetReportedReplicas()), "replica"), activity(policy.GetActive()))
	}
}

// policy prints a policy and its last decision.
func (p *page) policy(x *pb.PolicyExplanation) {
	policy := x.GetPolicy()
	if policy == nil {
		return
	}
	text := fmt.Sprintf("%s: mode %s, via %s, jump %s, generation %d", policy.GetName(), policy.GetMode(), policy.GetVia(), policy.GetJump(), policy.GetGeneration())
	if policy.GetDecidedAt() != nil {
		text += ", decided " + since(policy.GetDecidedAt(), p.now) + " ago"
	}
	p.add("policy", text)
	for _, mistake := range policy.GetMistakes() {
		p.add("mistake", mistake)
	}
	if policy.GetError() != "" {
		p.add("error", policy.GetError())
	}
	p.workload(policy.GetWorkload())
	p.replicas(policy)
	for n, signal := range policy.GetSignals() {
		var read *pb.Explanation
		if n < len(x.GetSignals()) {
			read = x.GetSignals()[n]
		}
		p.signal(signal, read)
	}
	p.bounds(policy.GetBounds())
	for _, limiter := range policy.GetLimiters() {
		p.limiter(limiter)
	}
	p.gate(policy.GetGate(), policy.GetWorkload())
	if hold := policy.GetHold(); hold != nil {
		p.addf("hold", "%s were wanted %s ago, which counts for another %s", plural(int64(hold.GetReplicas()), "replica"), since(hold.GetAt(), p.now), until(hold.GetUntil(), p.now))
	}
	p.busyPods(policy.GetBusyPods())
	if policy.GetHeldUntil() != nil {
		p.addf("jump", "no smaller number than the current one is reported for another %s", until(policy.GetHeldUntil(), p.now))
	}
	p.next(policy)
}

func (p *page) workload(w *pb.Workload) {
	text := w.GetKind() + " " + w.GetName() + ": "
	switch {
	case w.GetError() != "":
		text += w.GetError()
	case w.Replicas == nil:
		text += "not read yet"
	default:
		text += fmt.Sprintf("%s, %d available", plural(int64(w.GetReplicas()), "replica"), w.GetAvailable())
	}
	if w.GetLastScale() != nil {
		text += ", last changed " + since(w.GetLastScale(), p.now) + " ago"
	}
	if w.GetPaused() {
		text += "; its ScaledObject is paused"
	}
	p.add("workload", text)
}

// replicas prints the number of replicas step by step.
func (p *page) replicas(policy *pb.Policy) {
	if policy.ReportedReplicas == nil {
		return
	}
	switch d := policy.GetDemand(); d.GetReason() {
	case "formula":
		p.addf("decision", "%s = %s", oneLine(d.GetFormula()), number(d.GetReplicas()))
	case "need":
		p.addf("decision", "%s has the largest need: %s", d.GetSignal(), number(d.GetReplicas()))
	}
	for _, step := range policy.GetSteps() {
		change := fmt.Sprintf("stays %d", step.GetAfter())
		if step.GetBefore() != step.GetAfter() {
			change = fmt.Sprintf("%d -> %d", step.GetBefore(), step.GetAfter())
		}
		text := strings.TrimSpace(step.GetReason()+" "+step.GetName()) + ": " + change
		if step.GetDescription() != "" {
			text += ". " + strings.ReplaceAll(step.GetDescription(), "`", "")
		}
		p.add("decision", text)
	}
	verb := "reported"
	if policy.GetMode() != "Enforce" || policy.GetVia() != "KEDA" {
		verb = "decided"
	}
	p.addf("decision", "%d wanted, %d %s", policy.GetWantedReplicas(), policy.GetReportedReplicas(), verb)
	if policy.GetValidUntil() != nil {
		p.addf("decision", "may change in %s without any new input", until(policy.GetValidUntil(), p.now))
	}
}

// oneLine joins the lines of an expression.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func (p *page) bounds(b *pb.Bounds) {
	if b == nil {
		return
	}
	text := fmt.Sprintf("floor %d", b.GetFloor())
	if b.GetFloorWindow() != "" {
		text += " of window " + b.GetFloorWindow()
	}
	if b.GetRamping() {
		text += ", which is still to open"
	}
	text += fmt.Sprintf("; ceiling %d", b.GetCeiling())
	if b.GetCeilingWindow() != "" {
		text += " of window " + b.GetCeilingWindow()
	}
	p.add("bounds", text)
	if b.GetConflict() {
		p.add("bounds", "the floor of a window is above the ceiling of another one, which counts")
	}
	if open := b.GetOpenWindows(); len(open) > 0 {
		p.add("windows", "open: "+strings.Join(open, ", "))
	}
	if b.GetNextWindow() != "" {
		edge := "closes"
		if b.GetNextOpens() {
			edge = "opens"
		}
		p.addf("windows", "%s %s in %s, at %s", b.GetNextWindow(), edge, until(b.GetNextAt(), p.now), b.GetNextAt().AsTime().UTC().Format("2006-01-02 15:04 MST"))
	}
}

func (p *page) limiter(l *pb.Limiter) {
	text := l.GetName() + ": "
	switch {
	case l.GetActiveSince() == nil:
		p.add("limiters", text+"inactive; begins when "+oneLine(l.GetWhen()))
		return
	case l.Ceiling != nil:
		text += "not more than " + plural(int64(l.GetCeiling()), "replica")
	default:
		text += "no growth"
	}
	text += ", since " + since(l.GetActiveSince(), p.now)
	if l.GetUntil() != "" {
		text += "; ends when " + oneLine(l.GetUntil())
	} else {
		text += "; while " + oneLine(l.GetWhen())
	}
	p.add("limiters", text)
}

// gate prints what the next step of the replicas waits for.
func (p *page) gate(g *pb.StepGate, w *pb.Workload) {
	if g == nil {
		return
	}
	if g.StepTo != nil {
		p.addf("steps", "the step from %d to %d is not complete", g.GetStepFrom(), g.GetStepTo())
	}
	if g.GetPeriodEnds() != nil {
		p.addf("steps", "the next step waits for its period, which ends in %s", until(g.GetPeriodEnds(), p.now))
	}
	if g.Required == nil {
		return
	}
	text := fmt.Sprintf("the next step waits for %s, since %s", plural(int64(g.GetRequired()), "available replica"), since(g.GetWaitingSince(), p.now))
	text += fmt.Sprintf("; %d of %d are available", w.GetAvailable(), w.GetReplicas())
	switch {
	case g.GetStuck():
		text += "; it is stuck"
	case g.GetStuckAt() != nil:
		text += "; it is stuck in " + until(g.GetStuckAt(), p.now)
	}
	p.add("steps", text)
}

func (p *page) busyPods(b *pb.BusyPods) {
	if b == nil {
		return
	}
	text := "the pods are not known, so each may be busy"
	if b.GetKnown() {
		text = fmt.Sprintf("%d of %s, %d can be deleted without a busy one", b.GetBusy(), plural(int64(b.GetPods()), "pod"), b.GetSpare())
	}
	text += "; keep: " + b.GetKeep()
	if b.GetSparingSince() != nil {
		text += "; they delay a fall since " + since(b.GetSparingSince(), p.now)
		if b.GetGiveUpAt() != nil {
			text += ", and may for another " + until(b.GetGiveUpAt(), p.now)
		}
	}
	p.add("busy", text)
}

// next prints what happens to the replicas next.
func (p *page) next(policy *pb.Policy) {
	n, current, reported := policy.GetNext(), policy.GetWorkload().GetReplicas(), policy.GetReportedReplicas()
	switch {
	case n == nil:
		return
	case n.GetActor() == "none":
		p.addf("next", "%s stay: %s", plural(int64(current), "replica"), n.GetReason())
		return
	case n.GetActor() != "HPA":
		p.addf("next", "%d -> %d replicas: %s", current, n.GetReplicas(), n.GetReason())
		return
	case n.GetReplicas() == current:
		p.addf("next", "the HPA leaves %s", plural(int64(current), "replica"))
		return
	}
	text := fmt.Sprintf("the HPA sets %d -> %d replicas at its next sync, within 15 s", current, n.GetReplicas())
	if n.GetReplicas() != reported {
		text += fmt.Sprintf(", on the way to %d (%s)", reported, n.GetReason())
	}
	if reported < current {
		text += ", or after its stabilization window"
	}
	p.add("next", text)
	if n.GetDefaultReason() != "" {
		p.addf("next", "an HPA without behavior sets %d: %s", n.GetDefaultReplicas(), n.GetDefaultReason())
	}
}
