package comparison

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/tuning"
	"github.com/backlog-scaler/backlog-scaler/internal/terminal"
)

// A Tuned is the result of a search, with what was searched.
type Tuned struct {
	Digest string
	Search *tuning.Search
	tuning.Verdict
	// Notes are remarks on the search.
	Notes []string
	// YAML is the proposed ScaledObject, with its policy if it has one; empty without a proposal.
	YAML string
}

// Text prints the result of a search: both parts of the trace, the checks, the curve of cost against
// waiting, and the ScaledObject to apply.
func (t *Tuned) Text(out io.Writer) error {
	var b strings.Builder
	s := t.Search
	for _, line := range subject(s.Trace, s.Workers) {
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "Goal: p%d of the waiting at most %s, at the least cost.\n", s.Goal.Percentile, duration(s.Goal.Wait.Seconds()))
	fmt.Fprintf(&b, "Settings are chosen by the first %s, and checked by the last %s.\n", duration(t.Chosen.Seconds()), duration(t.Checked.Seconds()))
	for _, note := range t.Notes {
		b.WriteString("Note: " + backlog.Line(note) + "\n")
	}
	if len(t.Finalists) > 0 {
		t.finalists(&b)
		t.checks(&b)
		t.curve(&b)
		fmt.Fprintf(&b, "\nThe busiest minute has %s messages a second. What becomes of more is not known.\n", number(t.Rates.Most))
	}
	if t.Best == nil {
		fmt.Fprintf(&b, "\nNo better than today: %s.\n", t.Why)
	} else {
		fmt.Fprintf(&b, "\nProposal: %s.\n\n%s", &t.Best.Settings, t.YAML)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// label returns the name of a finalist.
func (t *Tuned) label(f *tuning.Finalist) string {
	switch {
	case f.Settings.Changes() == 0:
		return "today"
	case t.Best != nil && f.Settings.String() == t.Best.Settings.String():
		return "proposal"
	default:
		return "other"
	}
}

// finalists writes what became of the finalists in both parts.
func (t *Tuned) finalists(b *strings.Builder) {
	wait := fmt.Sprintf("p%d", t.Search.Goal.Percentile)
	rows := [][]string{{"", wait + " chosen", "checked", "within goal", "checked", "replica-seconds", "checked", "settings"}}
	for i := range t.Finalists {
		f := &t.Finalists[i]
		checked := &f.Checks[0]
		rows = append(rows, []string{
			t.label(f), duration(f.Score.Wait.Seconds()), duration(checked.Wait.Seconds()), percent(f.Score.Within), percent(checked.Within),
			number(f.Score.Cost), number(checked.Cost), f.Settings.String(),
		})
	}
	table(b, rows)
}

// checks writes which finalists keep the goal in which check.
func (t *Tuned) checks(b *strings.Builder) {
	rows := [][]string{{"within goal"}}
	for _, c := range t.Finalists[0].Checks {
		rows[0] = append(rows[0], c.Name)
	}
	for i := range t.Finalists {
		row := []string{t.label(&t.Finalists[i])}
		for _, c := range t.Finalists[i].Checks {
			text := percent(c.Within)
			if !c.Meets {
				text += " missed"
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	table(b, rows)
}

// maxCurve bounds the lines of a curve.
const maxCurve = 12

// curve writes how long messages wait by cost.
func (t *Tuned) curve(b *strings.Builder) {
	rows := [][]string{{"replica-seconds", fmt.Sprintf("p%d", t.Search.Goal.Percentile), "settings, by one run each"}}
	for i := range t.Curve {
		// The ends and some between them.
		if n := len(t.Curve); n > maxCurve && i*(maxCurve-1)/(n-1) == (i-1)*(maxCurve-1)/(n-1) && i > 0 {
			continue
		}
		c := &t.Curve[i]
		rows = append(rows, []string{number(c.First.Cost), duration(c.First.Wait.Seconds()), c.Settings.String()})
	}
	table(b, rows)
}

// table writes rows below an empty line.
func table(b *strings.Builder, rows [][]string) {
	b.WriteByte('\n')
	columns := make([]terminal.Alignment, len(rows[0]))
	columns[len(columns)-1] = terminal.Free
	for _, line := range terminal.Align(rows, columns...) {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// A jsonTuned is the result of a search as JSON.
type jsonTuned struct {
	Trace     jsonTrace      `json:"trace"`
	Goal      jsonGoal       `json:"goal"`
	Notes     []string       `json:"notes,omitempty"`
	Better    bool           `json:"better"`
	Why       string         `json:"why,omitempty"`
	Finalists []jsonFinalist `json:"finalists"`
	Curve     []jsonPoint    `json:"curve"`
	YAML      string         `json:"yaml,omitempty"`
}

type jsonGoal struct {
	Percentile int     `json:"percentile"`
	Seconds    float64 `json:"seconds"`
}

type jsonFinalist struct {
	Name     string      `json:"name"`
	Settings string      `json:"settings"`
	Chosen   jsonScore   `json:"chosenBy"`
	Checks   []jsonCheck `json:"checks"`
}

type jsonScore struct {
	Within float64 `json:"withinGoal"`
	Wait   float64 `json:"waitSeconds"`
	Cost   float64 `json:"replicaSeconds"`
	Killed int     `json:"killed"`
}

type jsonCheck struct {
	Name string `json:"name"`
	jsonScore
	Meets bool `json:"meets"`
}

type jsonPoint struct {
	Settings string `json:"settings"`
	jsonScore
}

func scoreOf(s *tuning.Score) jsonScore {
	return jsonScore{s.Within, s.Wait.Seconds(), s.Cost, s.Killed}
}

// JSON prints the result as JSON.
func (t *Tuned) JSON(out io.Writer) error {
	s := t.Search
	result := jsonTuned{
		Trace: jsonTrace{t.Digest, s.Trace.Messages(), s.Trace.End.Seconds(), s.Trace.Source, s.Trace.Quality},
		Goal:  jsonGoal{s.Goal.Percentile, s.Goal.Wait.Seconds()}, Notes: t.Notes, Better: t.Best != nil, Why: t.Why, YAML: t.YAML,
	}
	for i := range t.Finalists {
		f := &t.Finalists[i]
		finalist := jsonFinalist{Name: t.label(f), Settings: f.Settings.String(), Chosen: scoreOf(&f.Score)}
		for j := range f.Checks {
			c := &f.Checks[j]
			finalist.Checks = append(finalist.Checks, jsonCheck{c.Name, scoreOf(&c.Score), c.Meets})
		}
		result.Finalists = append(result.Finalists, finalist)
	}
	for i := range t.Curve {
		result.Curve = append(result.Curve, jsonPoint{t.Curve[i].Settings.String(), scoreOf(&t.Curve[i].First)})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}
