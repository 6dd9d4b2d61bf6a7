package migrate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// An Outcome says what became of a trigger.
type Outcome string

// The outcomes.
const (
	// outcomeCarried is a trigger that has changed.
	outcomeCarried Outcome = "carried"
	// outcomeLeft is one that the scaler has an engine for, and that stays as it is.
	outcomeLeft Outcome = "left"
	// outcomeOther is one of a system that the scaler does not read.
	outcomeOther Outcome = "other"
	// outcomeExternal is one of an external scaler already.
	outcomeExternal Outcome = "external"
)

// A Report says what became of each object.
type Report struct {
	Objects     []*ObjectReport     `json:"objects"`
	Connections []*ConnectionReport `json:"connections"`
	// Secrets are those whose values the scaler needs.
	Secrets []SecretReport `json:"secrets"`
	Counts  Counts         `json:"counts"`
}

// Counts are how many of each there are.
type Counts struct {
	Objects   int `json:"objects"`
	Untouched int `json:"untouched"`
	Carried   int `json:"carried"`
	Left      int `json:"left"`
	Other     int `json:"other"`
	External  int `json:"external"`
	Gaps      int `json:"gaps"`
	Changed   int `json:"changed"`
	Cannot    int `json:"cannot"`
}

// An ObjectReport is about a ScaledObject or ScaledJob.
type ObjectReport struct {
	File      string            `json:"file"`
	Line      int               `json:"line"`
	Kind      string            `json:"kind"`
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Findings  []builtin.Finding `json:"findings,omitempty"`
	Triggers  []*TriggerReport  `json:"triggers"`
}

// A TriggerReport is about one trigger.
type TriggerReport struct {
	Index   int     `json:"index"`
	Line    int     `json:"line"`
	Type    string  `json:"type"`
	Name    string  `json:"name,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Old and New are the trigger before and after, in a few words.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Metric is the name of the metric before and after, which dashboards may use.
	OldMetric string            `json:"oldMetric,omitempty"`
	NewMetric string            `json:"newMetric,omitempty"`
	Findings  []builtin.Finding `json:"findings,omitempty"`
}

// A ConnectionReport is about a connection of the configuration.
type ConnectionReport struct {
	Name       string   `json:"name"`
	Engine     string   `json:"engine"`
	Namespaces []string `json:"namespaces"`
	Triggers   int      `json:"triggers"`
}

// A SecretReport is a Secret that the scaler has to have in its own namespace.
type SecretReport struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Keys      []string `json:"keys"`
	// Copy is the name of the copy, and of its folder.
	Copy string `json:"copy"`
}

// add adds a finding about a trigger.
func (r *TriggerReport) add(level builtin.Level, line int, key, format string, args ...any) {
	r.Findings = append(r.Findings, builtin.Finding{Level: level, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// add adds a finding about an object.
func (r *ObjectReport) add(level builtin.Level, format string, args ...any) {
	r.Findings = append(r.Findings, builtin.Finding{Level: level, Line: r.Line, Text: fmt.Sprintf(format, args...)})
}

// Complete reports whether every trigger that the scaler has an engine for was carried whole, so that nothing
// is left to do by hand.
func (r *Report) Complete() bool {
	return r.Counts.Gaps == 0 && r.Counts.Cannot == 0 && r.Counts.Left == 0
}

// finish counts, sorts and makes every text fit for a terminal.
func (r *Report) finish() {
	r.Counts = Counts{Objects: len(r.Objects)}
	slices.SortStableFunc(r.Objects, func(a, b *ObjectReport) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	for _, o := range r.Objects {
		o.File, o.Namespace, o.Name = backlog.Line(o.File), backlog.Line(o.Namespace), backlog.Line(o.Name)
		r.count(o.Findings)
		carried := false
		for _, t := range o.Triggers {
			t.Type, t.Name, t.Old, t.New = backlog.Line(t.Type), backlog.Line(t.Name), backlog.Line(t.Old), backlog.Line(backlog.Redact(t.New))
			slices.SortStableFunc(t.Findings, func(a, b builtin.Finding) int { return cmp.Compare(weight(b.Level), weight(a.Level)) })
			r.count(t.Findings)
			switch t.Outcome {
			case outcomeCarried:
				r.Counts.Carried++
				carried = true
			case outcomeLeft:
				r.Counts.Left++
			case outcomeExternal:
				r.Counts.External++
			default:
				r.Counts.Other++
			}
		}
		if !carried {
			r.Counts.Untouched++
		}
	}
}

func (r *Report) count(findings []builtin.Finding) {
	for i := range findings {
		f := &findings[i]
		f.Key, f.Text = backlog.Line(f.Key), backlog.Line(backlog.Redact(f.Text))
		switch f.Level {
		case builtin.Gap:
			r.Counts.Gaps++
		case builtin.Changed:
			r.Counts.Changed++
		case builtin.Cannot:
			r.Counts.Cannot++
		default:
		}
	}
}

// weight orders the levels, the gravest last.
func weight(l builtin.Level) int {
	return slices.Index([]builtin.Level{builtin.Same, builtin.Better, builtin.Unread, builtin.Changed, builtin.Cannot, builtin.Gap}, l)
}
