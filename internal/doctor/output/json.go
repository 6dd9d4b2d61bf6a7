package output

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
)

// The document of --output json. Fields are added and never renamed.
type document struct {
	Version    string         `json:"version"`
	Summary    map[string]int `json:"summary"`
	Findings   []finding      `json:"findings"`
	Checks     []check        `json:"checks"`
	Incomplete []string       `json:"incomplete"`
}

type finding struct {
	Code      string `json:"code"`
	Severity  string `json:"severity"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty"`
	Field     string `json:"field,omitempty"`
	What      string `json:"what"`
	Why       string `json:"why"`
	Change    string `json:"change"`
	// Ignored is the reason in the annotation.
	Ignored string `json:"ignored,omitempty"`
}

type check struct {
	Code          string   `json:"code"`
	Category      string   `json:"category"`
	Title         string   `json:"title"`
	Status        string   `json:"status"`
	Skipped       []string `json:"skipped,omitempty"`
	Documentation string   `json:"documentation"`
}

func writeJSON(out io.Writer, r *doctor.Report, version string) error {
	found, ignored := r.Count()
	d := document{
		Version:  version,
		Summary:  map[string]int{"error": found[doctor.Error], "warning": found[doctor.Warning], "info": found[doctor.Info], "ignored": ignored},
		Findings: []finding{}, Checks: []check{}, Incomplete: lines(r.Incomplete),
	}
	for i := range r.Results {
		result := &r.Results[i]
		d.Checks = append(d.Checks, check{
			Code: result.Code, Category: result.Category(), Title: result.Title, Status: result.Status(),
			Skipped: lines(result.Skipped), Documentation: result.Link(),
		})
		if len(result.Skipped) > 0 {
			d.Summary["skipped"]++
		}
		for j := range result.Findings {
			f := &result.Findings[j]
			d.Findings = append(d.Findings, finding{
				Code: f.Code, Severity: f.Severity.String(), Kind: f.Kind, Namespace: backlog.Line(f.Namespace), Name: backlog.Line(f.Name),
				File: backlog.Line(f.File), Line: f.Line, Field: backlog.Line(f.Field), What: backlog.Line(f.What), Why: result.Why,
				Change: backlog.Line(f.Change), Ignored: backlog.Line(f.Ignored),
			})
		}
	}
	return encode(out, d)
}

// lines returns texts as lines.
func lines(texts []string) []string {
	written := make([]string, len(texts))
	for i, text := range texts {
		written[i] = backlog.Line(text)
	}
	return written
}

func encode(out io.Writer, document any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
