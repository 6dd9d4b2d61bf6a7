package reference

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFill(t *testing.T) {
	t.Parallel()
	const before = "# Title\n<!-- generated: x; make generate -->\nold\n<!-- end of x -->\nrest\n"
	got, err := Fill(before, Block{"x", "new\n\n"})
	if err != nil {
		t.Fatal(err)
	}
	want := "# Title\n<!-- generated: x; make generate -->\n\nnew\n\n<!-- end of x -->\nrest\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("filled (-want +got):\n%s", diff)
	}
	if again, err := Fill(got, Block{"x", "new\n\n"}); err != nil || again != got {
		t.Errorf("filling twice changes it: %q, %v", again, err)
	}
	if _, err := Fill(before, Block{"y", "new"}); !errors.Is(err, errNoPlace) {
		t.Errorf("a block without a place gives %v", err)
	}
}

func TestFences(t *testing.T) {
	t.Parallel()
	const document = "One\n```yaml\na: 1\n```\nTwo `x|y` [l](z.md)\n  ```sh\n  b\n   c\n  ```\n"
	fences, prose := Fences(document)
	want := []Fence{{"yaml", "a: 1\n", 3}, {"sh", "b\n c\n", 7}}
	if diff := cmp.Diff(want, fences); diff != "" {
		t.Errorf("fences (-want +got):\n%s", diff)
	}
	if got, want := strings.Count(prose, "\n"), 9; got != want {
		t.Errorf("prose has %d lines, want %d:\n%s", got, want, prose)
	}
	if diff := cmp.Diff([]string{"z.md"}, Links(prose)); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

func TestAnchors(t *testing.T) {
	t.Parallel()
	got := Anchors("# What it reads\n\n## `list` (redis)\n### 0 to 1, fast!\n")
	if diff := cmp.Diff([]string{"what-it-reads", "list-redis", "0-to-1-fast"}, got); diff != "" {
		t.Errorf("anchors (-want +got):\n%s", diff)
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	const prose = "| a | b |\n| --- | --- |\n| 1 | 2 \\| 3 |\n\n| other |\n| --- |\n| 4 |\n"
	if diff := cmp.Diff([]Row{{"1", "2 | 3"}}, Rows(prose, "a")); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	const script = "# a comment\nmake run\nhelm install \\\n  --set x=y\ncat > f <<'END'\nno command\nEND\nscaler version   # prints it\n"
	want := []string{"make run", "helm install --set x=y", "cat > f <<'END'", "scaler version   # prints it"}
	if diff := cmp.Diff(want, CommandLines(script)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"no command\n"}, HereDocuments(script, "END")); diff != "" {
		t.Errorf("here-documents (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b c", "d#e"}, Words(`a 'b c'  d#e # f`)); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

func TestParseHelp(t *testing.T) {
	t.Parallel()
	const help = `Usage: x
  -h, --help             Show context-sensitive help.

      --config=FILE      The file ($X_CONFIG).
      --address=":9090"  Where, in PEM. Followed ($X_ADDRESS).
      --pprof            Profiles ($X_PPROF).
      --json             Print JSON.
`
	got, err := ParseHelp(help)
	if err != nil {
		t.Fatal(err)
	}
	want := []Flag{
		{"--config", "FILE", "The file.", "X_CONFIG"},
		{"--address", ":9090", "Where, in PEM. Followed.", "X_ADDRESS"},
		{"--pprof", "", "Profiles.", "X_PPROF"},
		{"--json", "", "Print JSON.", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
	if _, err := ParseHelp("nothing"); !errors.Is(err, errNoFlags) {
		t.Errorf("a text without flags gives %v", err)
	}
}
