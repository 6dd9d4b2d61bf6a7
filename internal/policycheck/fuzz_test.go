package policycheck_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/policychecktest"
)

// FuzzCheck: no text makes the check or the report panic or run for long, each mistake has a text, and
// nothing that is printed is more than a line.
func FuzzCheck(f *testing.F) {
	f.Add(policychecktest.Whole)
	f.Add(policychecktest.Nothing)
	for _, text := range []string{
		"&a\nkind: List\nitems: [*a]\n",
		"kind: AutoscalerPolicy\nspec: &s {schedules: [*s, *s], signals: &t [*t], <<: *s}\n",
		"kind: AutoscalerPolicy\nmetadata: [1]\nspec: {maxReplicas: 0x10, minReplicas: 1_0, via: !!binary aGk=}\n",
		"kind: AutoscalerPolicy\nspec:\n  <<: [{via: KEDA}, {via: Scale}]\n  ? [a]\n  : b\n",
	} {
		f.Add(text)
	}
	paths, err := filepath.Glob("../../examples/policies/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatalf("%d examples: %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	c, err := policycheck.New(engines.All(), nil, "shop")
	if err != nil {
		f.Fatal(err)
	}
	from := time.Date(2026, time.November, 26, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		file, _ := c.Check([]byte(text)) // a text that is no YAML is an error
		for i := range file.Policies {
			for _, m := range file.Policies[i].Mistakes {
				if m.Text == "" {
					t.Errorf("a mistake in line %d has no text", m.Line)
				}
			}
		}
		r := policycheck.Report{Files: []policycheck.Named{{Name: "p.yaml", File: file}}, From: from, To: from.Add(time.Hour)}
		var out strings.Builder
		if err := r.Print(&out); err != nil {
			t.Error(err)
		}
		if strings.ContainsAny(out.String(), "\x1b\r") {
			t.Errorf("printed %q", out.String())
		}
	})
}
