package comparison

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// Text prints the report as a table: a column for each candidate.
func (r *Report) Text(out io.Writer) error {
	var b strings.Builder
	for _, line := range r.head() {
		b.WriteString(line + "\n")
	}
	for _, note := range r.Notes {
		b.WriteString("Note: " + backlog.Line(note) + "\n")
	}
	rows := [][]string{{""}}
	for i := range r.Results {
		rows[0] = append(rows[0], backlog.Line(r.Results[i].Candidate.Name))
	}
	for _, m := range r.measures() {
		row := []string{m.label}
		for i := range r.Results {
			row = append(row, m.cell(r.Results[i].Spread(m.value)))
		}
		rows = append(rows, row)
	}
	if len(r.Results) > 1 {
		row := []string{"p95 below the first one's", "-"}
		for i := range r.Results[1:] {
			row = append(row, fmt.Sprintf("in %d of %d runs", r.shorter(i+1), r.Seeds))
		}
		rows = append(rows, row)
	}
	table(&b, rows)
	if len(r.Varied) > 0 {
		b.WriteString("\n" + r.otherwise() + "\n")
		for _, m := range r.varied() {
			r.variations(&b, m)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// variations writes a measure for each variation.
func (r *Report) variations(b *strings.Builder, m measure) {
	rows := [][]string{{m.label}}
	for i := range r.Results {
		rows[0] = append(rows[0], backlog.Line(r.Results[i].Candidate.Name))
	}
	for _, v := range r.Varied {
		row := []string{v.Name}
		for i := range v.Results {
			row = append(row, m.format(v.Results[i].Spread(m.value).Median))
		}
		rows = append(rows, row)
	}
	table(b, rows)
}

// A jsonReport is the report as JSON.
type jsonReport struct {
	Trace      jsonTrace       `json:"trace"`
	Workers    jsonWorkers     `json:"workers"`
	Seeds      int             `json:"seeds"`
	From       float64         `json:"leftOutSeconds"`
	Goal       float64         `json:"goalSeconds,omitempty"`
	Notes      []string        `json:"notes,omitempty"`
	Candidates []jsonCandidate `json:"candidates"`
	Variations []jsonVariation `json:"variations,omitempty"`
}

type jsonVariation struct {
	Name       string                `json:"name"`
	Candidates []jsonVariedCandidate `json:"candidates"`
}

type jsonVariedCandidate struct {
	Name string `json:"name"`
	// Measures are medians.
	Measures map[string]float64 `json:"measures"`
}

type jsonTrace struct {
	Digest   string        `json:"digest"`
	Messages int64         `json:"messages"`
	Length   float64       `json:"lengthSeconds"`
	Source   string        `json:"source,omitempty"`
	Arrivals trace.Quality `json:"arrivals"`
}

type jsonWorkers struct {
	Service     string  `json:"service"`
	Startup     string  `json:"startup"`
	Cold        string  `json:"cold,omitempty"`
	ColdShare   float64 `json:"coldShare,omitempty"`
	Concurrency int     `json:"concurrency"`
	Grace       float64 `json:"graceSeconds"`
	WarmUp      float64 `json:"warmUpSeconds,omitempty"`
}

type jsonCandidate struct {
	Name     string                       `json:"name"`
	Measures map[string]simulation.Spread `json:"measures"`
	// Shorter is in how many runs the 95th percentile is below that of the first candidate.
	Shorter int `json:"p95BelowFirst"`
}

// JSON prints the report as JSON.
func (r *Report) JSON(out io.Writer) error {
	w := r.Workers
	report := jsonReport{
		Trace: jsonTrace{r.Digest, r.Trace.Messages(), r.Trace.End.Seconds(), r.Trace.Source, r.Trace.Quality},
		Workers: jsonWorkers{
			Service: w.Service.String(), Startup: w.Startup.String(), ColdShare: w.ColdShare, Concurrency: w.Concurrency, Grace: w.Grace.Seconds(), WarmUp: w.WarmUp.Seconds(),
		},
		Seeds: r.Seeds, From: r.Options.From.Seconds(), Goal: r.Options.Goal.Seconds(), Notes: r.Notes,
	}
	if w.ColdShare > 0 {
		report.Workers.Cold = w.Cold.String()
	}
	for i := range r.Results {
		c := jsonCandidate{Name: r.Results[i].Candidate.Name, Measures: make(map[string]simulation.Spread), Shorter: r.shorter(i)}
		for _, m := range r.measures() {
			c.Measures[m.name] = r.Results[i].Spread(m.value)
		}
		report.Candidates = append(report.Candidates, c)
	}
	for _, v := range r.Varied {
		variation := jsonVariation{Name: v.Name}
		for i := range v.Results {
			c := jsonVariedCandidate{v.Results[i].Candidate.Name, make(map[string]float64)}
			for _, m := range r.measures() {
				c.Measures[m.name] = v.Results[i].Spread(m.value).Median
			}
			variation.Candidates = append(variation.Candidates, c)
		}
		report.Variations = append(report.Variations, variation)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
