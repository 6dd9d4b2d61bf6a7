package app_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The bounds of a package and of a file, which is read in one sitting. Those of a package are without
// tests.
const (
	maxPackageFiles = 25
	maxPackageLines = 3000
	maxFileLines    = 400
)

// TestSizes: no package and no file of any module is too large, except what is generated.
func TestSizes(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	files, lines := map[string]int{}, map[string]int{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(entry.Name(), ".") && path != root
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (hidden || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		code, err := os.ReadFile(path)
		if err != nil || bytes.HasPrefix(code, []byte("// Code generated ")) || bytes.Contains(code, []byte("\n// Code generated ")) {
			return err
		}
		n := bytes.Count(code, []byte("\n"))
		if n > maxFileLines {
			t.Errorf("%s has %d lines, want at most %d", path, n, maxFileLines)
		}
		if !strings.HasSuffix(path, "_test.go") {
			files[filepath.Dir(path)]++
			lines[filepath.Dir(path)] += n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for folder := range files {
		if files[folder] > maxPackageFiles || lines[folder] > maxPackageLines {
			t.Errorf("%s has %d files and %d lines, want at most %d and %d", folder, files[folder], lines[folder], maxPackageFiles, maxPackageLines)
		}
	}
	if len(files) < 10 {
		t.Errorf("%d packages were measured; the check did not see the repository", len(files))
	}
}
