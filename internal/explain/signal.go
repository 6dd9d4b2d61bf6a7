package explain

import (
	"fmt"
	"slices"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// signal prints a signal of a policy, and how it is read.
func (p *page) signal(s *pb.Signal, read *pb.Explanation) {
	unit := unitOf(read)
	p.addf("signal", "%s: %s", s.GetName(), p.signalText(s, unit))
	if text := learnedText(s.GetLearned()); text != "" {
		p.add("signal", "  "+text)
	}
	details := page{now: p.now, unit: unit}
	if d := read.GetDecision(); d != nil {
		details.value(current(d), read.GetReading())
	}
	if r := read.GetReading(); r != nil {
		details.queue(read.GetTrigger(), r)
		if r.GetWarning() != "" {
			details.addf("", "warning: %s", r.GetWarning())
		}
	} else if t := read.GetTrigger(); t != nil {
		details.addf("", "%s %q on connection %s, never read", t.GetLayout(), t.GetQueue(), t.GetConnection())
	}
	problem := read.GetProblem()
	if read.GetReadStatus() != nil {
		details.reads(read.GetReadStatus(), problem.GetSince() != nil)
	}
	if problem != nil {
		text := problem.GetReason()
		if problem.GetSince() != nil {
			text += " for " + since(problem.GetSince(), p.now)
		}
		details.addf("", "%s: %s", text, problem.GetMessage())
		details.add("", problem.GetAdvice())
	}
	for _, line := range details.lines {
		if line[1] != "" {
			p.add("signal", "  "+line[1])
		}
	}
}

// current returns the decision on a signal without the step of a reading that is old: whether its
// value counts is up to the policy.
func current(d *pb.Decision) *pb.Decision {
	steps := slices.DeleteFunc(slices.Clone(d.GetSteps()), func(step *pb.Step) bool { return step.GetReason() == "stale" })
	return &pb.Decision{Value: d.GetValue(), Steps: steps, Counted: d.GetCounted(), Drain: d.GetDrain()}
}

// signalText is what counts of a signal.
func (p *page) signalText(s *pb.Signal, u unit) string {
	if s.Value == nil {
		switch s.GetState() {
		case "Ignored":
			return "unknown and left out (whenUnknown: Ignore)"
		case "":
			return "not decided on yet"
		default:
			return "unknown (whenUnknown: " + s.GetWhenUnknown() + ")"
		}
	}
	text := u.amount(s.GetValue())
	if s.Need != nil {
		text += " / " + u.number(s.GetTarget()) + " per replica, needs " + number(s.GetNeed())
	}
	switch s.GetState() {
	case "Replaced":
		text += "; this stands for an unknown value (whenUnknown: Value)"
	case "Stale":
		text += "; the last good value"
		if s.GetValueUsedUntil() != nil {
			text += ", for another " + until(s.GetValueUsedUntil(), p.now)
		}
	}
	return text
}

// learnedText describes what was learned of the throughput; empty if it is not learned.
func learnedText(l *pb.LearnedThroughput) string {
	if l == nil {
		return ""
	}
	within := fmt.Sprintf("between %s/s and %s/s", number(l.GetFloor()), number(l.GetCeiling()))
	switch measured := ""; {
	case l.GetKnown():
		if l.GetMeasured() != l.GetUsed() {
			measured = fmt.Sprintf(", measured %s/s", number(l.GetMeasured()))
		}
		return fmt.Sprintf("a replica finishes %s/s: learned, %s%s, confidence %s", number(l.GetUsed()), within, measured, number(l.GetConfidence()))
	default:
		if l.Measured != nil {
			measured = fmt.Sprintf("; measured %s/s, confidence %s", number(l.GetMeasured()), number(l.GetConfidence()))
		}
		return fmt.Sprintf("a replica finishes %s/s: the floor until enough is learned, %s%s", number(l.GetUsed()), within, measured)
	}
}
