package explain

import (
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// A Sheet is an explanation as parts, for other output than text. Its words are those of Text and
// PolicyText.
type Sheet struct {
	// Verdict is the first line.
	Verdict  string
	Sections []Section
}

// A Section is what is said under one label, such as "decision".
type Section struct {
	Label string
	Lines []string
}

// Sheets returns one Sheet for each explanation.
func Sheets(r *pb.ExplainResponse) []Sheet {
	all := make([]Sheet, 0, len(r.GetExplanations()))
	for _, e := range r.GetExplanations() {
		p := page{now: r.GetAt().AsTime(), several: len(r.GetExplanations()) > 1, unit: unitOf(e)}
		p.explain(e)
		all = append(all, p.sheet())
	}
	return all
}

// PolicySheet returns the Sheet of a policy.
func PolicySheet(r *pb.ExplainPolicyResponse) Sheet {
	p := page{now: r.GetAt().AsTime(), verdict: policyVerdict(r.GetExplanation().GetPolicy())}
	p.policy(r.GetExplanation())
	return p.sheet()
}

// sheet returns the lines of a page, those of one label together.
func (p *page) sheet() Sheet {
	s := Sheet{Verdict: p.verdict}
	for _, line := range p.lines {
		last := len(s.Sections) - 1
		if last < 0 || s.Sections[last].Label != line[0] {
			s.Sections = append(s.Sections, Section{Label: line[0]})
			last++
		}
		s.Sections[last].Lines = append(s.Sections[last].Lines, line[1])
	}
	return s
}

// Number formats a number with at most two decimals.
func Number(f float64) string { return number(f) }

// Value formats the value or the target of a trigger, with as many decimals as KEDA gets.
func Value(e *pb.Explanation, f float64) string { return unitOf(e).number(f) }

// Age formats a time span in one unit, rounded down from minutes on.
func Age(d time.Duration) string { return age(d.Seconds()) }
