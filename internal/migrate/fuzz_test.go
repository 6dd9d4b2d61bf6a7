package migrate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate"
)

// FuzzRun: no text makes the migration panic, what it writes can be read again, a second run changes nothing,
// and the report has no control characters.
func FuzzRun(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(paths) == 0 {
		f.Fatalf("%d manifests: %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("&a\nkind: List\nitems: [*a]\n")
	f.Add("kind: ScaledObject\napiVersion: keda.sh/v1alpha1\nspec: &s {triggers: [*s, {type: redis, metadata: {<<: *s}}]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := migrate.Run([]migrate.File{{Name: "fuzz.yaml", Data: []byte(text)}}, options())
		if err != nil && strings.Contains(err.Error(), "check the result") {
			t.Errorf("the result is wrong: %v", err)
		}
		checkAgain(t, r)
		var report strings.Builder
		if err := r.Report.Text(&report); err != nil {
			t.Error(err)
		}
		if strings.ContainsAny(report.String(), "\x1b\r\x00") {
			t.Errorf("printed %q", report.String())
		}
	})
}
