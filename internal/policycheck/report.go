package policycheck

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Named is a file with the name that it is shown by.
type Named struct {
	Name string
	File
}

// A Report is about the policies of all files that are checked together.
type Report struct {
	Files []Named
	// From and To are the moments between which windows are shown.
	From, To time.Time
	// Connections reports that signals were checked against those of a configuration.
	Connections bool
}

// Mistakes returns the number of mistakes, and of policies.
func (r *Report) Mistakes() (mistakes, policies int) {
	for i := range r.Files {
		policies += len(r.Files[i].Policies)
		for j := range r.Files[i].Policies {
			mistakes += len(r.Files[i].Policies[j].Mistakes)
		}
	}
	return mistakes, policies
}

// Print prints every mistake, and what policies without mistakes do. Whatever files could bring into
// a terminal is made visible.
func (r *Report) Print(out io.Writer) error {
	w := new(strings.Builder)
	for i := range r.Files {
		file := &r.Files[i]
		for j := range file.Policies {
			r.printPolicy(w, file.Name, &file.Policies[j])
		}
		for _, other := range file.Others {
			fmt.Fprintf(w, "%s:%d: not checked: %s\n", file.Name, other.Line, other.Text)
		}
	}
	for _, line := range r.together() {
		fmt.Fprintln(w, line)
	}
	if _, policies := r.Mistakes(); policies > 0 && !r.Connections {
		fmt.Fprintln(w, "not checked: whether the connections exist and serve these namespaces; --config FILE checks that")
	}
	for line := range strings.Lines(w.String()) {
		if _, err := fmt.Fprintln(out, backlog.Line(strings.TrimSuffix(line, "\n"))); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	return nil
}

func (r *Report) printPolicy(w io.Writer, name string, p *Policy) {
	verdict := "valid"
	if n := len(p.Mistakes); n > 0 {
		verdict = count(int32(min(n, maxRows)), "mistake")
	}
	fmt.Fprintf(w, "%s:%d: AutoscalerPolicy %s: %s\n", name, p.Line, p.Key, verdict)
	for _, mistake := range p.Mistakes {
		fmt.Fprintf(w, "  %s:%d: %s\n", name, mistake.Line, mistake.Text)
	}
	if p.compiled == nil {
		return
	}
	for _, sentence := range p.describe() {
		fmt.Fprintf(w, "  %s\n", sentence)
	}
	if !p.compiled.Schedule().Empty() {
		newTimetable(p, r.From, r.To).write(w)
	}
}

// together returns a line for each policy that does not go with an earlier one.
func (r *Report) together() []string {
	var found []string
	var earlier []*Policy
	for i := range r.Files {
		for j := range r.Files[i].Policies {
			p := &r.Files[i].Policies[j]
			place := fmt.Sprintf("%s:%d", r.Files[i].Name, p.Line)
			sameName := func(other *Policy) bool { return other.Key == p.Key && p.Name != "" }
			sameTarget := func(other *Policy) bool {
				return other.Namespace == p.Namespace && p.plain.Ref.Name != "" && other.plain.Ref == p.plain.Ref
			}
			switch {
			case slices.ContainsFunc(earlier, sameName):
				found = append(found, fmt.Sprintf("%s: note: an earlier policy is also called %s, and the later one replaces it", place, p.Key))
			case slices.ContainsFunc(earlier, sameTarget):
				found = append(found, fmt.Sprintf("%s: CONFLICT: another policy has the same target, %s %s; with via: Scale the older one writes alone",
					place, p.plain.Ref.Kind, p.plain.Ref.Name))
			}
			earlier = append(earlier, p)
		}
	}
	return found
}
