package reference

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
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
	limitRow   = "what"
	numberRow  = "system"
)

// TestNamedTests wants every test that a document names to be there, in the file that
// the document links to.
func TestNamedTests(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, test := range namedTest.FindAllStringSubmatch(d.prose, -1) {
			name, sub, file := test[1], test[2], test[3]
			source := read(t, path.Join(path.Dir(d.path), file))
			if !strings.Contains(source, "\nfunc "+name+"(t *testing.T)") {
				t.Errorf("%s names %s, which is not in %s", d.path, name, file)
			}
			if sub != "" && !strings.Contains(source, `"`+sub+`"`) {
				t.Errorf("%s names %s/%s, which is not in %s", d.path, name, sub, file)
			}
		}
	}
}

// TestRowsNameTests wants every row of the README's tables of failures and of wrong numbers, and of
// the table of limits in SECURITY.md, to name a test.
func TestRowsNameTests(t *testing.T) {
	t.Parallel()
	for header, document := range map[string]string{failureRow: "README.md", numberRow: "README.md", limitRow: "SECURITY.md"} {
		_, prose := Fences(read(t, document))
		rows := Rows(prose, header)
		if len(rows) < 10 {
			t.Fatalf("%s has %d rows below %q", document, len(rows), header)
		}
		for _, row := range rows {
			if !namedTest.MatchString(row[len(row)-1]) {
				t.Errorf("%s: the row %q names no test", document, row[0])
			}
		}
	}
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
	for _, m := range slices.Concat(scrape(t), policyMetrics(t)) {
		metrics[m.Name] = true
		if m.Type == "histogram" {
			metrics[m.Name+"_bucket"], metrics[m.Name+"_sum"], metrics[m.Name+"_count"] = true, true, true
		}
	}
	variables := map[string]bool{}
	for _, f := range slices.Concat(help(t, scaler, "serve"), help(t, scaler, "doctor")) {
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

// TestDecisionRecords wants the records of docs/adr to be numbered without gaps, to have the same
// parts, and to be listed in the index under their titles.
func TestDecisionRecords(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(root, "docs", "adr", "[0-9]*.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatal("there are no records")
	}
	var rows []string
	for i, name := range names {
		base := filepath.Base(name)
		text := read(t, "docs/adr/"+base)
		title, _, _ := strings.Cut(strings.TrimPrefix(text, fmt.Sprintf("# %d. ", i+1)), "\n")
		if !strings.HasPrefix(base, fmt.Sprintf("%04d-", i+1)) || strings.HasPrefix(title, "#") {
			t.Errorf("%s is in the place of record %d", base, i+1)
		}
		for _, part := range []string{"\nStatus: ", "\n## Context\n", "\n## Decision\n", "\n## Consequences\n"} {
			if strings.Count(text, part) != 1 {
				t.Errorf("%s: want %q once", base, strings.TrimSpace(part))
			}
		}
		rows = append(rows, fmt.Sprintf("| [%d](%s) | %s |", i+1, base, title))
	}
	if index := read(t, "docs/adr/README.md"); !strings.HasSuffix(index, "\n"+strings.Join(rows, "\n")+"\n") {
		t.Errorf("docs/adr/README.md does not end with the table of the records:\n%s", strings.Join(rows, "\n"))
	}
}
