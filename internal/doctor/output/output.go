// Package output prints what scaler doctor found: as text, in short lines, as JSON and as SARIF.
package output

import (
	"fmt"
	"io"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
)

// maxFindings and maxRemarks are how many findings of one check are printed as text: of those that matter,
// and of a check that has remarks alone.
const (
	maxFindings = 20
	maxRemarks  = 3
)

// Write writes a report in a format: text, short, json or sarif. The version is that of the scaler. Texts of
// a cluster or a file are written as lines in which every character is visible.
func Write(out io.Writer, format string, r *doctor.Report, version string) error {
	switch format {
	case "json":
		return writeJSON(out, r, version)
	case "sarif":
		return writeSARIF(out, r, version)
	}
	var w strings.Builder
	if format == "short" {
		writeShort(&w, r)
	} else {
		writeText(&w, r)
	}
	w.WriteString(summary(r) + "\n")
	if _, err := io.WriteString(out, w.String()); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

// place returns where a finding is, as a line.
func place(f *doctor.Finding) string {
	text := f.String()
	if f.File != "" {
		text += fmt.Sprintf(", %s:%d", f.File, f.Line)
	}
	if f.Field != "" {
		text += ", " + f.Field
	}
	return backlog.Line(text)
}

func writeShort(w *strings.Builder, r *doctor.Report) {
	for i := range r.Results {
		for j := range r.Results[i].Findings {
			if f := &r.Results[i].Findings[j]; f.Ignored == "" {
				fmt.Fprintf(w, "%s %s %s: %s\n", f.Severity, f.Code, place(f), backlog.Line(f.What))
			}
		}
	}
}

func writeText(w *strings.Builder, r *doctor.Report) {
	category := ""
	for i := range r.Results {
		result := &r.Results[i]
		if len(result.Findings) == 0 {
			continue
		}
		if c := result.Category(); c != category {
			category = c
			fmt.Fprintf(w, "%s\n\n", category)
		}
		writeResult(w, result)
	}
	writeRest(w, r)
}

// writeResult writes the findings of one check.
func writeResult(w *strings.Builder, result *doctor.Result) {
	status, most := result.Status(), maxFindings
	if result.Worst() == 0 {
		status = "ignored"
	}
	if result.Worst() <= doctor.Info {
		most = maxRemarks
	}
	fmt.Fprintf(w, "%-8s %s  %s\n", status, result.Code, result.Title)
	for i := range result.Findings[:min(most, len(result.Findings))] {
		writeFinding(w, result, &result.Findings[i])
	}
	if more := len(result.Findings) - most; more > 0 {
		fmt.Fprintf(w, "  and %d more: --output json has all\n", more)
	}
	if result.Worst() != 0 {
		fmt.Fprintf(w, "  why    %s\n  change %s\n  see    %s\n", result.Why, result.Change, result.Link())
	}
	w.WriteString("\n")
}

func writeFinding(w *strings.Builder, result *doctor.Result, f *doctor.Finding) {
	fmt.Fprintf(w, "  %s\n", place(f))
	if f.Ignored != "" {
		fmt.Fprintf(w, "    ignored  %s (%s)\n", backlog.Line(f.Ignored), backlog.Line(f.What))
		return
	}
	severity := ""
	if f.Severity != result.Worst() {
		severity = f.Severity.String() + ": "
	}
	fmt.Fprintf(w, "    is       %s%s\n", severity, backlog.Line(f.What))
	if f.Change != result.Change {
		fmt.Fprintf(w, "    change   %s\n", backlog.Line(f.Change))
	}
}

// writeRest writes which checks were skipped and why, and which found nothing.
func writeRest(w *strings.Builder, r *doctor.Report) {
	var reasons, fine []string
	codes := make(map[string][]string)
	for i := range r.Results {
		result := &r.Results[i]
		for _, why := range result.Skipped {
			if codes[why] == nil {
				reasons = append(reasons, why)
			}
			codes[why] = append(codes[why], result.Code)
		}
		if len(result.Skipped)+len(result.Findings) == 0 {
			fine = append(fine, result.Code)
		}
	}
	for _, reason := range reasons {
		fmt.Fprintf(w, "%-8s %s: %s\n", "skipped", strings.Join(codes[reason], " "), backlog.Line(reason))
	}
	if len(fine) > 0 {
		fmt.Fprintf(w, "%-8s %s\n", "ok", strings.Join(fine, " "))
	}
	for _, text := range r.Incomplete {
		fmt.Fprintf(w, "%-8s %s\n", "failed", backlog.Line(text))
	}
}

// summary returns the line that counts everything.
func summary(r *doctor.Report) string {
	found, ignored := r.Count()
	skipped := 0
	for i := range r.Results {
		if len(r.Results[i].Skipped) > 0 {
			skipped++
		}
	}
	text := fmt.Sprintf("%d checks: %s, %s, %s; %d ignored", len(r.Results),
		plural(found[doctor.Error], "error"), plural(found[doctor.Warning], "warning"), plural(found[doctor.Info], "remark"), ignored)
	if skipped > 0 {
		text += "; " + plural(skipped, "check") + " skipped or made in part"
	}
	return text
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
