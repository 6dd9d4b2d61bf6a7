package reference

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/manifests"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/triggers"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
)

// TestExamplesHaveNoTraps: scaler doctor warns of nothing in the examples to copy from, with and without the
// connections that they name.
func TestExamplesHaveNoTraps(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(root, exampleFiles))
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d examples, %v", len(paths), err)
	}
	connections, configured := exampleConnections(t), catalog(t)
	policies, err := policycheck.New(engines.All(), configured, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		objects, err := manifests.Read([]string{path}, nil, "shop")
		if err != nil {
			t.Fatal(err)
		}
		known := facts.Facts{Now: time.Now(), Objects: objects, Connections: []string{}, Policies: policies}
		for _, parser := range []facts.Parser{triggers.New(engines.All(), configured, connections), triggers.New(engines.All(), nil, nil)} {
			known.Triggers = parser
			for _, result := range doctor.Examine(&known).Results {
				for i := range result.Findings {
					if f := &result.Findings[i]; f.Severity >= doctor.Warning {
						t.Errorf("%s: %s %s: %s", strings.TrimPrefix(f.File, root+"/"), f.Code, f.Field, f.What)
					}
				}
			}
		}
	}
}
