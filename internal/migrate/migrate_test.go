package migrate_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate"
)

var update = flag.Bool("update", false, "write the golden files")

// options are those of the command line.
func options() migrate.Options {
	return migrate.Options{Engines: engines.All(), ScalerAddress: "backlog-scaler.backlog-scaler.svc:9090", KEDANamespace: "keda"}
}

// whole is everything that a result prints.
func whole(t *testing.T, r migrate.Result) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("=== config.yaml\n" + r.Config)
	for _, o := range r.Objects {
		b.WriteString("=== " + o.Name + "\n" + o.Text)
	}
	b.WriteString("=== report\n")
	if err := r.Report.Text(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestCorpus migrates KEDA's own manifests, and those of this project, and compares the results.
func TestCorpus(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(paths) < 40 {
		t.Fatalf("%d manifests: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(path[len("testdata/"):], ".yaml"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			r, fault := migrate.Run([]migrate.File{{Name: filepath.Base(path), Data: data}}, options())
			got := whole(t, r)
			if fault != nil {
				got += "=== error\n" + fault.Error() + "\n"
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			checkSecrets(t, r)
			checkParses(t, r)
			checkAgain(t, r)
		})
	}
}

// secretTexts are what stands for secrets in the manifests.
func secretTexts() []string {
	return []string{"secret-of-the-corpus", "c2VjcmV0LW9mLXRoZS1jb3JwdXM", "hunter2", "aHVudGVyMg"}
}

// checkSecrets wants no value of a secret anywhere.
func checkSecrets(t *testing.T, r migrate.Result) {
	t.Helper()
	text := bytes.NewBufferString(whole(t, r))
	if err := errors.Join(r.Report.JSON(text), r.Report.Markdown(text)); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secretTexts() {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the result holds the secret %q", secret)
		}
	}
}

// checkParses wants a configuration that the scaler accepts, unless the report has gaps of connections.
func checkParses(t *testing.T, r migrate.Result) {
	t.Helper()
	if r.Config == "" {
		return
	}
	_, err := config.Parse([]byte(r.Config), engines.All(), func(name string) ([]byte, error) {
		if strings.Contains(name, "FILL-IN") {
			return nil, errors.New("not there")
		}
		return []byte("a file"), nil
	}, func(string) (string, bool) { return "", false })
	gaps := strings.Contains(r.Config, "FILL IN")
	if gaps != (err != nil) {
		t.Errorf("gaps: %v, and the scaler says: %v", gaps, err)
	}
}

// checkAgain wants a second run to find nothing to do, except for triggers that the first one left.
func checkAgain(t *testing.T, r migrate.Result) {
	t.Helper()
	var files []migrate.File
	for _, o := range r.Objects {
		files = append(files, migrate.File{Name: o.Name, Data: []byte(o.Text)})
	}
	again, err := migrate.Run(files, options())
	if err != nil {
		t.Errorf("the result cannot be read: %v", err)
	}
	// Without its TriggerAuthentication, a trigger that KEDA refuses is one with a gap.
	if again.Report.Counts.Carried > r.Report.Counts.Left {
		t.Errorf("a second run changes the result:\n%s", whole(t, again))
	}
	if want, got := r.Report.Counts.Carried, again.Report.Counts.External; got < want {
		t.Errorf("%d external triggers after %d were carried", got, want)
	}
}
