package reference

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	usesAction   = regexp.MustCompile(`(?m)^[ -]*uses: (.+)$`)
	pinnedAction = regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v[0-9.]+$`)
)

// TestWorkflows wants what SECURITY.md says of the workflows: they pin every action by its digest and
// start with no permissions.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatal("there are no workflows")
	}
	for _, name := range names {
		base := filepath.Base(name)
		text := read(t, ".github/workflows/"+base)
		if !strings.Contains(text, "\npermissions: {}\n") {
			t.Errorf("%s starts with permissions", base)
		}
		for _, action := range submatches(usesAction, text) {
			if !pinnedAction.MatchString(action) {
				t.Errorf("%s: %s is not pinned by a digest with the version behind it", base, action)
			}
		}
	}
}
