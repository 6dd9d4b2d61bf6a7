package output_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/output"
)

var update = flag.Bool("update", false, "write the golden files again")

// report is one with every kind of outcome.
func report() *doctor.Report {
	checks := map[string]*doctor.Check{}
	for _, check := range doctor.Checks() {
		checks[check.Code] = &check
	}
	found := func(code string, s doctor.Severity, kind, name, what string) doctor.Finding {
		f := doctor.Finding{Code: code, Severity: s, Place: object.Place{Kind: kind, Name: name}, What: what, Change: checks[code].Change}
		if kind == "ScaledObject" {
			f.Namespace = "shop"
		}
		return f
	}
	// What a stranger may write: sequences of a terminal, markup, a direction and a long text.
	hostile := "orders\x1b[2J\n</script>\u202e" + strings.Repeat("x", 4096)
	written := found("S201", doctor.Error, "ScaledObject", hostile, "list: "+hostile)
	written.File, written.Line, written.Field = "deploy/b illing.yaml", 12, "spec.triggers[0].metadata.list"
	polled := found("S204", doctor.Warning, "ScaledObject", "billing", "the type is external")
	polled.Field = "spec.triggers[0].type"
	ignored := found("S207", doctor.Error, "ScaledObject", "billing", "an outage scales to zero")
	ignored.Ignored = "the batch may stop"
	remark := found("S210", doctor.Info, "ScaledObject", "billing", "scaleUp has no policies")
	remark.Change = "Set it to 900."
	return &doctor.Report{
		Results: []doctor.Result{
			{Check: checks["K101"]},
			{Check: checks["K105"], Skipped: []string{"needs the right to list deployments.apps in all namespaces"}},
			{Check: checks["S201"], Skipped: []string{"needs the right to list scaledjobs.keda.sh in all namespaces"}, Findings: []doctor.Finding{written}},
			{Check: checks["S204"], Findings: slices.Repeat([]doctor.Finding{polled}, 23)},
			{Check: checks["S207"], Findings: []doctor.Finding{ignored}},
			{Check: checks["S210"], Findings: []doctor.Finding{remark}},
			{Check: checks["B405"], Findings: []doctor.Finding{
				found("B405", doctor.Warning, "Connection", "legacy", "nothing uses it"), found("B405", doctor.Info, "Connection", "old", "nothing that was seen uses it"),
			}},
		},
		Incomplete: []string{"list pods: timeout"},
	}
}

// TestWrite: each format has all findings, and no character that a terminal or a viewer takes for its own.
func TestWrite(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "short", "json", "sarif"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := output.Write(&out, format, report(), "v1.2.3"); err != nil {
				t.Fatal(err)
			}
			if bytes.ContainsAny(out.Bytes(), "\x1b\u202e") {
				t.Error("a sequence of a terminal, or a direction, is printed")
			}
			if (format == "json" || format == "sarif") && !json.Valid(out.Bytes()) {
				t.Error("it is not JSON")
			}
			path := "testdata/" + format + ".golden"
			if *update {
				if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("-update writes it again (-want +got):\n%s", diff)
			}
		})
	}
}
