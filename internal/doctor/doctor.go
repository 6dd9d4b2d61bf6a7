// Package doctor finds traps in how KEDA, a cluster and the scaler are set up: it judges facts that
// others have gathered, and is pure. A file has the checks of one subject of the catalogue.
package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// A Severity says how much a finding costs.
type Severity uint8

// The severities.
const (
	// Info is a remark: nothing is broken, or what was seen does not decide.
	Info Severity = iota + 1
	// Warning is a trap: it works today and hurts on a certain day.
	Warning
	// Error is broken now, or loses work.
	Error
)

// String returns "info", "warning" or "error".
func (s Severity) String() string {
	switch s {
	case Info:
		return "info"
	case Warning:
		return "warning"
	case Error:
		return "error"
	default:
		return "ok"
	}
}

// ParseSeverity returns the severity of a name.
func ParseSeverity(name string) (Severity, error) {
	for _, s := range []Severity{Info, Warning, Error} {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("severity %q: want info, warning or error", name)
}

// A Check looks for one kind of trap.
type Check struct {
	// Code names the check. It is stable.
	Code string
	// Title names the trap, in a noun phrase.
	Title string
	// Severity is that of its worst finding.
	Severity Severity
	// Offline reports that manifests are enough.
	Offline bool
	// Why says what the trap costs. Change says what to change.
	Why, Change string
	// Evidence are reports of the trap, such as kedacore/keda#7116, and addresses of code.
	Evidence []string

	// needs are what it cannot do without. reads are the kinds that it looks at; a part of it is skipped
	// where one of them could not be read.
	needs []need
	reads []object.Kind
	find  func(v *view, found *findings)
}

// Category returns what a check is about: the first letter of its code has the name.
func (c *Check) Category() string {
	for _, category := range categories() {
		if strings.HasPrefix(c.Code, category.letter) {
			return category.name
		}
	}
	return ""
}

// categories are what checks are about, in the order in which they are reported.
func categories() []struct{ letter, name string } {
	return []struct{ letter, name string }{
		{"K", "KEDA and the network"},
		{"S", "ScaledObjects and ScaledJobs"},
		{"W", "Workloads"},
		{"B", "The scaler and its queues"},
		{"R", "The servers of queues"},
		{"P", "AutoscalerPolicies"},
		{"D", "Annotations for scaler doctor"},
	}
}

// documentation is the page that has a section for each code.
const documentation = "https://github.com/backlog-scaler/backlog-scaler/blob/main/docs/doctor.md"

// Link returns the address of the section of the documentation about the check.
func (c *Check) Link() string { return documentation + "#" + strings.ToLower(c.Code) }

// A Finding is one trap that was found.
type Finding struct {
	Code     string
	Severity Severity
	object.Place
	// Field is the path of the field, such as spec.triggers[0].type; empty for the object.
	Field string
	// What says what is.
	What string
	// Change says what to change here.
	Change string
	// Ignored is the reason of the annotation that ignores it; empty if none does.
	Ignored string
}

// A Result is the outcome of one check.
type Result struct {
	*Check
	// Findings are what was found, ignored ones among them.
	Findings []Finding
	// Skipped says why the check, or a part of it, could not be made; empty if it was made.
	Skipped []string
}

// Status returns "skipped", "ok", or the severity of the worst finding that is not ignored. What was
// found counts more than what was skipped.
func (r *Result) Status() string {
	worst := r.Worst()
	if worst == 0 && len(r.Skipped) > 0 {
		return "skipped"
	}
	return worst.String()
}

// Worst returns the severity of the worst finding that is not ignored; 0 without one.
func (r *Result) Worst() Severity {
	var worst Severity
	for i := range r.Findings {
		if r.Findings[i].Ignored == "" {
			worst = max(worst, r.Findings[i].Severity)
		}
	}
	return worst
}

// A Report is the outcome of all checks.
type Report struct {
	Results []Result
	// Incomplete says what could not be read although it may be; empty if all was.
	Incomplete []string
}

// ErrFound is a report with findings at or above the threshold.
var ErrFound = errors.New("traps found")

// ErrIncomplete is a report that could not be made in full.
var ErrIncomplete = errors.New("could not look at everything")

// Verdict returns ErrFound if there is a finding at or above the threshold that is not ignored, else
// ErrIncomplete if something could not be read or every check was skipped, else nil.
func (r *Report) Verdict(threshold Severity) error {
	var worst Severity
	skipped := len(r.Results) > 0
	for i := range r.Results {
		worst = max(worst, r.Results[i].Worst())
		skipped = skipped && r.Results[i].Status() == "skipped"
	}
	switch {
	case worst >= threshold:
		return ErrFound
	case len(r.Incomplete) > 0 || skipped:
		return ErrIncomplete
	default:
		return nil
	}
}

// Count returns the number of findings that are not ignored, by severity, and that of ignored ones.
func (r *Report) Count() (bySeverity map[Severity]int, ignored int) {
	bySeverity = make(map[Severity]int)
	for i := range r.Results {
		for j := range r.Results[i].Findings {
			if f := &r.Results[i].Findings[j]; f.Ignored == "" {
				bySeverity[f.Severity]++
			} else {
				ignored++
			}
		}
	}
	return bySeverity, ignored
}

// Examine makes all checks.
func Examine(known *facts.Facts) *Report {
	v := newView(known)
	report := &Report{Incomplete: known.Incomplete}
	for _, check := range Checks() {
		result := Result{Check: &check}
		if why := v.cannot(&check); why != "" {
			result.Skipped = []string{why}
		} else {
			found := findings{check: &check, view: v}
			for _, kind := range check.reads {
				if v.Online && v.Unread[kind] != "" {
					found.skip(v.Unread[kind])
				}
			}
			check.find(v, &found)
			result.Findings, result.Skipped = found.sorted(), found.skipped
		}
		report.Results = append(report.Results, result)
	}
	return report
}

// findings collects what a check finds.
type findings struct {
	check   *Check
	view    *view
	all     []Finding
	skipped []string
}

// add adds a finding about a field of an object, with the severity of the check.
func (f *findings) add(o *object.Object, field, change, what string, args ...any) {
	f.addAs(f.check.Severity, o, field, change, what, args...)
}

// addAs adds a finding with a severity. Without a change it has that of the check.
func (f *findings) addAs(s Severity, o *object.Object, field, change, what string, args ...any) {
	found := Finding{
		Code: f.check.Code, Severity: s, Place: o.Place(field), Field: field,
		What: fmt.Sprintf(what, args...), Change: cmp.Or(change, f.check.Change),
	}
	found.Ignored = f.view.ignored(o, f.check.Code)
	f.all = append(f.all, found)
}

// skip says that a part of the check could not be made.
func (f *findings) skip(why string) {
	if !slices.Contains(f.skipped, why) {
		f.skipped = append(f.skipped, why)
	}
}

// skipMissing says that objects which other ones name are not among the manifests.
func (f *findings) skipMissing(v *view, what string) {
	if !v.Online {
		f.skip("some " + what + " are not among the manifests")
	}
}

// sorted returns the findings, the worst first and then by object.
func (f *findings) sorted() []Finding {
	slices.SortStableFunc(f.all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Field, b.Field))
	})
	return f.all
}
