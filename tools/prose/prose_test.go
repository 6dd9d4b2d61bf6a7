package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const testRules = `
# a comment
[scope]
text

[skip]
*.svg

[words]
as far as = "if"
nobody = the actor

[allow]
text/quote.md: nobody = a title
`

func TestFindings(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 21)
	tests := []struct {
		name, file, source string
		want               []string
	}{
		{"a word", "a.md", "Nobody reads.\n", []string{`text/a.md:1: "Nobody": write the actor`}},
		{"a phrase over two lines", "a.md", "It holds as\nfar as it goes.\n", []string{`text/a.md:1: "as far as": write "if"`}},
		{"a part of a word", "a.md", "nobodyelse\n", nil},
		{"code in a document", "a.md", "`nobody`, [x](nobody.md)\n\n```\nnobody\n```\n", nil},
		{"a generated part", "a.md", "<!-- generated: x; make y -->\nnobody\n<!-- end of x -->\n\nnobody\n", []string{`text/a.md:5: "nobody": write the actor`}},
		{"an exception", "quote.md", "nobody\n", nil},
		{"a skipped file", "a.svg", "nobody\n", nil},
		{"a comment of Go", "a.go", "package nobody\n\n// F is good as far\n// as it goes.\nfunc nobody() {}\n", []string{`text/a.go:3: "as far as": write "if"`}},
		{"a string of Go", "a.go", "package a\n\nconst text = `nobody`\n", []string{`text/a.go:3: "nobody": write the actor`}},
		{"a comment of YAML", "a.yaml", "# good as far\n# as it goes\na: 1\n", []string{`text/a.yaml:1: "as far as": write "if"`}},
		{"a picture", "a.png", "\xff nobody", nil},
		{"a wide line", "a.md", long + "\n", []string{"text/a.md:1: 105 characters: wrap at 100"}},
		{"a wide table", "a.md", "| " + long + "|\n", nil},
		{"a wide link", "a.md", "- [link](" + strings.Repeat("x", 120) + ")\n", nil},
		{"a wide line of Go", "a.go", "// " + long + "\npackage a\n", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rules, err := parseRules(testRules)
			if err != nil {
				t.Fatal(err)
			}
			findings, err := rules.checkTree(fstest.MapFS{"text/" + test.file: {Data: []byte(test.source)}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range findings {
				got = append(got, f.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesFaults(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"[words]\nnobody", "[words]\n( = x", "[allow]\nnobody = x", "[other]\na = b", "a = b"} {
		if _, err := parseRules(source); err == nil {
			t.Errorf("parseRules(%q) returned no error", source)
		}
	}
}

func TestMissingFolderIsAnError(t *testing.T) {
	t.Parallel()
	rules := &rules{scope: []string{"absent"}}
	if _, err := rules.checkTree(fstest.MapFS{}); err == nil {
		t.Error("a folder of the scope that is not there was passed over")
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "rules.txt")
	write(t, file, "[scope]\na.md\n[words]\nnobody = the actor\n")
	args := []string{"-root", dir, "-rules", file}
	var stdout, stderr bytes.Buffer
	if code := run(args, &stdout, &stderr); code != 2 {
		t.Errorf("without the file: exit code %d, want 2", code)
	}
	write(t, filepath.Join(dir, "a.md"), "A client asks.\n")
	write(t, filepath.Join(dir, "b.md"), "nobody\n")
	if code := run(args, &stdout, &stderr); code != 0 {
		t.Errorf("clean: exit code %d: %s%s", code, &stdout, &stderr)
	}
	if code := run(slices.Concat(args, []string{"b.md"}), &stdout, &stderr); code != 1 {
		t.Errorf("with a banned word: exit code %d", code)
	}
	if want := "b.md:1: \"nobody\": write the actor\n"; stdout.String() != want {
		t.Errorf("printed %q, want %q", &stdout, want)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
