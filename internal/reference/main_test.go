package reference

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the generated parts of the documents again")
	// scaler and plugin are the paths of the programs, built from this source.
	scaler, plugin string
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "reference")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	scaler, plugin = filepath.Join(dir, "scaler"), filepath.Join(dir, "kubectl-backlog")
	build := exec.Command("go", "build", "-o", dir, "../../cmd/scaler", "../../cmd/kubectl-backlog") //nolint:noctx // bounded by the timeout of the tests
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	return m.Run()
}

// root is the folder of the repository.
const root = "../.."

// A document is a Markdown file of the repository.
type document struct {
	// path is from the root, with slashes.
	path   string
	fences []Fence
	prose  string
}

// documents are all of them.
func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			hidden := strings.HasPrefix(name, ".") && path != root
			if hidden || slices.Contains([]string{"testdata", "bin", "node_modules"}, name) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		fences, prose := Fences(read(t, filepath.ToSlash(relative)))
		all = append(all, document{path: filepath.ToSlash(relative), fences: fences, prose: prose})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are no documents")
	}
	return all
}

// own are the documents that this package looks into closely: those of other
// folders have tests of their own.
func own(t *testing.T) []document {
	t.Helper()
	return slices.DeleteFunc(documents(t), func(d document) bool {
		return strings.Contains(d.path, "/") && !strings.HasPrefix(d.path, "docs/") && !strings.HasPrefix(d.path, "examples/") &&
			d.path != "deploy/keda/README.md"
	})
}

// read returns a file, whose path is from the root.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// at names a line of a fence.
func (d document) at(f Fence) string { return fmt.Sprintf("%s:%d", d.path, f.Line) }
