package reference

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLinks wants every relative link of every document to lead somewhere.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, link := range Links(d.prose) {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(link, "#")
			to := d.path
			if file != "" {
				to = path.Join(path.Dir(d.path), file)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: link to %s: %v", d.path, link, err)
				continue
			}
			if anchor == "" || path.Ext(to) != ".md" {
				continue
			}
			if _, prose := Fences(read(t, to)); !slices.Contains(Anchors(prose), anchor) {
				t.Errorf("%s: link to %s: no such heading", d.path, link)
			}
		}
	}
}

var (
	namedTest  = regexp.MustCompile("\\[`(Test\\w+)(?:/([^`]+))?`\\]\\(([^)]+)\\)")
	failureRow = "what breaks"
)

// TestFailures wants every row of the README's table of failures to name a test
// that is there, in the file that the row links to.
func TestFailures(t *testing.T) {
	t.Parallel()
	_, prose := Fences(read(t, "README.md"))
	rows := Rows(prose, failureRow)
	if len(rows) < 10 {
		t.Fatalf("the README has %d rows on what breaks", len(rows))
	}
	for _, row := range rows {
		tests := namedTest.FindAllStringSubmatch(row[len(row)-1], -1)
		if len(tests) == 0 {
			t.Errorf("the row %q names no test", row[0])
		}
		for _, test := range tests {
			name, sub, file := test[1], test[2], test[3]
			source := read(t, file)
			if !strings.Contains(source, "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("the row %q names %s, which is not in %s", row[0], name, file)
			}
			if sub != "" && !strings.Contains(source, `"`+sub+`"`) {
				t.Errorf("the row %q names %s/%s, which is not in %s", row[0], name, sub, file)
			}
		}
	}
}

const module = "github.com/backlog-scaler/backlog-scaler/"

// TestImportTable holds the table of packages in docs/design.md to the imports:
// what a row says that a package knows is what it imports.
func TestImportTable(t *testing.T) {
	t.Parallel()
	_, prose := Fences(read(t, "docs/design.md"))
	documented := map[string][]string{}
	for _, row := range Rows(prose, "package") {
		knows := Spans(row[2])
		slices.Sort(knows)
		documented[strings.Trim(row[0], "`")] = knows
	}
	if diff := cmp.Diff(imports(t), documented); diff != "" {
		t.Errorf("the table of packages in docs/design.md (-code +document):\n%s", diff)
	}
}

// imports returns what each package imports of this module, without its tests, as
// the table writes it: without "internal/".
func imports(t *testing.T) map[string][]string {
	t.Helper()
	known := map[string]map[string]bool{}
	for _, pattern := range []string{"cmd/*/*.go", "internal/*/*.go", "internal/*/*/*.go", "internal/*/*/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			relative, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.ToSlash(relative)
			if known[name] == nil {
				known[name] = map[string]bool{}
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range parsed.Imports {
				if imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"internal/"); ours {
					known[name][imported] = true
				}
			}
		}
	}
	table := map[string][]string{}
	for name, set := range known {
		table[name] = slices.Sorted(maps.Keys(set))
	}
	return table
}

var (
	ownMetric   = regexp.MustCompile(`\bbacklog_scaler_[a-z_]+`)
	ownVariable = regexp.MustCompile(`\bSCALER_[A-Z_]+`)
)

// TestNames wants every metric and every environment variable that a document
// names to be one of the scaler's.
func TestNames(t *testing.T) {
	t.Parallel()
	metrics := map[string]bool{}
	for _, m := range scrape(t) {
		metrics[m.Name] = true
		if m.Type == "histogram" {
			metrics[m.Name+"_bucket"], metrics[m.Name+"_sum"], metrics[m.Name+"_count"] = true, true, true
		}
	}
	variables := map[string]bool{}
	for _, f := range help(t, "serve") {
		variables[f.Variable] = true
	}
	for _, d := range own(t) {
		text := read(t, d.path)
		for _, name := range ownMetric.FindAllString(text, -1) {
			if !metrics[name] && !strings.HasSuffix(name, "_") {
				t.Errorf("%s: there is no metric %s", d.path, name)
			}
		}
		for _, name := range ownVariable.FindAllString(text, -1) {
			if !variables[name] && !strings.HasSuffix(name, "_") {
				t.Errorf("%s: there is no variable %s", d.path, name)
			}
		}
	}
}
