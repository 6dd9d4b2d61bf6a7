package reference

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
)

// policyExamples returns the files of examples/policies.
func policyExamples(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "examples", "policies", "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d examples of policies: %v", len(paths), err)
	}
	return paths
}

// TestPolicyExamples: every example of a policy has no mistake and no conflict, names connections
// that exist, and with via: KEDA has a ScaledObject of the same workload. It begins with a comment of
// three to six lines, and docs/policies.md lists it.
func TestPolicyExamples(t *testing.T) {
	t.Parallel()
	checker := newChecker(t)
	list := read(t, "docs/policies.md")
	for _, path := range policyExamples(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := checker.policies.Check(data)
		if err != nil || len(file.Policies) != 1 {
			t.Fatalf("%s: %d policies, error %v", path, len(file.Policies), err)
		}
		from := time.Date(2026, time.November, 26, 0, 0, 0, 0, time.UTC)
		report := policycheck.Report{
			Files: []policycheck.Named{{Name: filepath.Base(path), File: file}}, From: from, To: from.AddDate(0, 0, 14), Connections: true,
		}
		var text strings.Builder
		if err := report.Print(&text); err != nil {
			t.Fatal(err)
		}
		if mistakes, _ := report.Mistakes(); mistakes > 0 || strings.Contains(text.String(), "CONFLICT") {
			t.Errorf("%s:\n%s", path, &text)
		}
		if comment := slices.IndexFunc(strings.Split(string(data), "\n"), func(line string) bool { return !strings.HasPrefix(line, "# ") }); comment < 3 || comment > 6 {
			t.Errorf("%s begins with %d lines of comment, want 3 to 6", path, comment)
		}
		if link := fmt.Sprintf("(../examples/policies/%s)", filepath.Base(path)); !strings.Contains(list, link) {
			t.Errorf("docs/policies.md has no link %s", link)
		}
		checkDriver(t, path, data, file.Policies[0].Name)
	}
}

// checkDriver wants a ScaledObject for a policy with via: KEDA, and none for via: Scale. That of a
// policy that enforces has one trigger, which names the policy.
func checkDriver(t *testing.T, path string, data []byte, policy string) {
	t.Helper()
	var objects []scaledObject
	for _, node := range nodes(t, path, data) {
		var object scaledObject
		if err := node.Decode(&object); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if object.Kind == "ScaledObject" {
			objects = append(objects, object)
		}
	}
	text := string(data)
	if strings.Contains(text, "via: Scale") {
		if len(objects) > 0 {
			t.Errorf("%s: a ScaledObject next to via: Scale", path)
		}
		return
	}
	if len(objects) != 1 || len(objects[0].Spec.Triggers) != 1 {
		t.Errorf("%s: want one ScaledObject with one trigger", path)
		return
	}
	named := objects[0].Spec.Triggers[0].metadata()["policy"]
	if observes := strings.Contains(text, "mode: Observe"); observes && named != "" || !observes && named != policy {
		t.Errorf("%s: the trigger names the policy %q", path, named)
	}
}
