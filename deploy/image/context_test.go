package image

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// contextFiles returns the files that .dockerignore lets through, with slashes.
func contextFiles(t *testing.T) []string {
	t.Helper()
	ignore, err := os.Open(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	defer ignore.Close()
	patterns, err := ignorefile.ReadAll(ignore)
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path == ".git" || path == "e2e" || path == "deploy" {
				return fs.SkipDir // large; nothing of it comes through, as no pattern names it
			}
			return nil
		}
		ignored, err := matcher.MatchesOrParentMatches(path)
		if err != nil {
			return err
		}
		if !ignored {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// copyContext lays the context out in folder, as a builder does.
func copyContext(t *testing.T, folder string) {
	t.Helper()
	for _, file := range contextFiles(t) {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(folder, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	files := contextFiles(t)
	for _, needed := range []string{"go.mod", "go.sum", "LICENSE", "licenses/scaler.txt", "licenses/grpc-health-probe.txt", "tools/healthprobe/go.mod", "tools/healthprobe/go.sum"} {
		if !slices.Contains(files, needed) {
			t.Errorf("the context lacks %s", needed)
		}
	}
	allowed := []string{"go.mod", "go.sum", "LICENSE", "api/", "cmd/", "gen/", "internal/", "licenses/", "tools/healthprobe/", "worker/"}
	for _, file := range files {
		if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(file, prefix) }) ||
			strings.HasSuffix(file, "_test.go") || strings.Contains(file, "testdata/") || file == "licenses/kubectl-backlog.txt" {
			t.Errorf("the context holds %s, which the image does not need", file)
		}
	}
}
