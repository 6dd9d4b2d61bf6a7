package reference

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/backlog-scaler/backlog-scaler/"

// packages is a table of the packages of the program: what each is, by its own
// words, and which others it imports, tests left out.
func packages(t *testing.T) string {
	t.Helper()
	synopses, imports := map[string]string{}, map[string]map[string]bool{}
	for _, top := range []string{"cmd", "examples", "internal", "worker"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
			if err != nil {
				return err
			}
			name = filepath.ToSlash(name)
			if text := synopsis(file, filepath.Base(name)); text != "" {
				synopses[name] = text
			}
			if imports[name] == nil {
				imports[name] = map[string]bool{}
			}
			for _, spec := range file.Imports {
				imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
				if known := strings.TrimPrefix(imported, "internal/"); ours && (known != imported || imported == "worker") {
					imports[name][known] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := table{{"package", "what it does", "knows"}}
	for _, name := range slices.Sorted(maps.Keys(imports)) {
		knows := strings.Join(slices.Sorted(maps.Keys(imports[name])), "`, `")
		rows = append(rows, []string{"[`" + name + "`](../" + name + ")", cell(synopses[name]), code(knows)})
	}
	return rows.String()
}

// synopsis is the first sentence of a package's documentation, without the words
// with which they all begin.
func synopsis(file *ast.File, name string) string {
	text := new(doc.Package).Synopsis(file.Doc.Text())
	text = strings.TrimPrefix(strings.TrimPrefix(text, "Package "), "Command ")
	return strings.TrimPrefix(text, name+" ")
}
