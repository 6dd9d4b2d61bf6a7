package faults_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
	"github.com/backlog-scaler/backlog-scaler/internal/faults"
	"github.com/backlog-scaler/backlog-scaler/internal/reference"
)

// The flags of "make faults" and "make faults-table".
var (
	all        = flag.Bool("all", false, "cause all faults on all engines, and compare docs/faults.md with what happens")
	only       = flag.String("only", "", "cause all faults on these engines, separated by commas, and leave docs/faults.md alone")
	updateDocs = flag.Bool("update-docs", false, "write the table of docs/faults.md")
)

func TestMain(m *testing.M) {
	// A server of NATS is this program.
	if code, served := jetstreamtest.ServeChild(); served {
		os.Exit(code)
	}
	backlogtest.Main(m)
}

// TestFaults is "make faults". Without flags it causes some faults of one server.
func TestFaults(t *testing.T) {
	t.Parallel()
	scenes := faults.Scenes()
	switch {
	case *only != "":
		names := strings.Split(*only, ",")
		for _, name := range names {
			if !slices.Contains(faults.Engines(), name) {
				t.Fatalf("-only: there is no engine %q; there are %s", name, strings.Join(faults.Engines(), ", "))
			}
		}
		scenes = slices.DeleteFunc(scenes, func(s faults.Scene) bool { return !slices.Contains(names, s.Engine) })
	case !*all:
		scenes = scenes[:1]
		scenes[0].Faults = []faults.Fault{faults.Absent, faults.Hostile, faults.Emptied}
	}
	var mu sync.Mutex
	results := make([]faults.Result, len(scenes))
	// It follows the subtests.
	t.Cleanup(func() {
		// The table is that of all engines.
		if *all && *only == "" && !t.Failed() {
			conclude(t, results)
		}
	})
	for i, scene := range scenes {
		t.Run(scene.Engine, func(t *testing.T) {
			t.Parallel()
			result := faults.Run(t, scene)
			mu.Lock()
			defer mu.Unlock()
			results[i] = result
		})
	}
}

// conclude compares the table of the documentation with what happened, or writes it.
func conclude(t *testing.T, results []faults.Result) {
	t.Helper()
	rows := faults.Table(results)
	text := document(t)
	if !*updateDocs {
		for _, difference := range faults.Compare(documented(t, text), rows) {
			t.Errorf("%s; make faults-table writes docs/faults.md again", difference)
		}
		return
	}
	filled, err := reference.FillBy("faults-table", text, reference.Block{Name: "faults", Text: reference.Table(rows)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path(), []byte(filled), 0o644); err != nil {
		t.Fatal(err)
	}
}

func path() string { return filepath.Join("..", "..", "docs", "faults.md") }

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(path())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documented returns the rows of the table of the documentation.
func documented(t *testing.T, text string) [][]string {
	t.Helper()
	_, block, begins := strings.Cut(text, "<!-- generated: faults;")
	block, _, ends := strings.Cut(block, "<!-- end of faults -->")
	if !begins || !ends {
		t.Fatal("docs/faults.md has no table")
	}
	var rows [][]string
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| ---") {
			rows = append(rows, strings.Split(strings.Trim(line, "| "), " | "))
		}
	}
	return rows
}

// TestTable: the documentation has a row for each engine and a column for each fault, and no cell is empty
// except those of servers that have nothing to replace them.
func TestTable(t *testing.T) {
	t.Parallel()
	rows := documented(t, document(t))
	var names []string
	for _, e := range engines.All() {
		names = append(names, "`"+e.Name+"`")
	}
	slices.Sort(names)
	var found []string
	for _, row := range rows[1:] {
		found = append(found, row[0])
		for i, cell := range row {
			alone := rows[0][i] == string(faults.Failover) && slices.Contains([]string{"`sqs`", "`prometheus`", "`http`", "`logs`"}, row[0])
			if cell == "–" && !alone {
				t.Errorf("%s has no cell for %q", row[0], rows[0][i])
			}
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, names) {
		t.Errorf("docs/faults.md has the engines %v, want %v", found, names)
	}
	for _, f := range faults.All() {
		if !slices.Contains(rows[0], string(f)) {
			t.Errorf("docs/faults.md has no column %q", f)
		}
	}
}

// TestCompare: a cell that has changed is a difference, and a time is not.
func TestCompare(t *testing.T) {
	t.Parallel()
	row := func(answers faults.Answers, seconds string) [][]string {
		cells := []string{"`redis`", "Redis"}
		for range faults.All() {
			cells = append(cells, string(answers)+"; "+seconds)
		}
		return [][]string{nil, cells}
	}
	if d := faults.Compare(row(faults.Held, "1.0 s"), row(faults.Held, "2.0 s")); len(d) > 0 {
		t.Errorf("another time is a difference: %v", d)
	}
	// Two faults depend on the machine.
	if d := faults.Compare(row(faults.Held, "1.0 s"), row(faults.Error, "1.0 s")); len(d) != len(faults.All())-2 {
		t.Errorf("%d differences, want %d: %v", len(d), len(faults.All())-2, d)
	}
}
