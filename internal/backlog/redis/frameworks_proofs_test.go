package redis_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/reference"
)

func columns() []layouttest.Column {
	return []layouttest.Column{layouttest.Waiting, layouttest.Prioritised, layouttest.Due, layouttest.InFlight, layouttest.Age, layouttest.Paused, layouttest.WakeUp}
}

// A provenFramework is a row of the table. What it is without, it has no proof of, and
// the other way round.
type provenFramework struct {
	layout, name string
	without      map[layouttest.Column]string
}

func provenFrameworks() []provenFramework {
	const queuesAlone, never = "queues have an order, jobs have none", "cannot be paused"
	return []provenFramework{
		{"sidekiq", "Sidekiq", map[layouttest.Column]string{layouttest.Prioritised: queuesAlone}},
		{"resque", "Resque (node-resque)", map[layouttest.Column]string{layouttest.Prioritised: queuesAlone, layouttest.Paused: never}},
		{"laravel", "Laravel", map[layouttest.Column]string{layouttest.Prioritised: queuesAlone, layouttest.Paused: "kept in the application's cache"}},
		{"bullmq", "BullMQ", nil},
		{"bull", "Bull", nil},
		{"beequeue", "Bee-Queue", map[layouttest.Column]string{layouttest.Prioritised: "no priorities", layouttest.Paused: never}},
		{"asynq", "asynq", map[layouttest.Column]string{layouttest.Prioritised: queuesAlone}},
		{"celery", "Celery", map[layouttest.Column]string{layouttest.Due: "held by a worker, so in flight", layouttest.Age: "messages do not say", layouttest.Paused: "each worker by itself"}},
		{"rq", "RQ", map[layouttest.Column]string{layouttest.Prioritised: queuesAlone}},
		{"dramatiq", "Dramatiq", map[layouttest.Column]string{layouttest.Paused: never}},
		{"arq", "arq", map[layouttest.Column]string{layouttest.Prioritised: "no priorities", layouttest.Paused: never}},
		{"taskiq", "Taskiq (taskiq-redis)", map[layouttest.Column]string{layouttest.Prioritised: queuesAlone, layouttest.Due: "kept by its scheduler, a process of its own", layouttest.Paused: never}},
	}
}

// section returns the layout of a framework, which documents it.
func (f provenFramework) section() string {
	if f.layout == "bull" {
		return "bullmq"
	}
	return f.layout
}

// A proof is a Proof and the test that has it.
type proof struct {
	layouttest.Proof
	// test is the name of the test, and folder that of its package below the module.
	test, folder string
}

// A ledger holds the proofs of all tests.
type ledger struct{ proofs map[proof]bool }

var (
	provenBy   = flag.String("proven-by", "", "output of go test -json of the tests of frameworks, with which docs/frameworks.md is compared")
	updateDocs = flag.Bool("update-docs", false, "write the table of docs/frameworks.md again")
)

// provingPackages is the prefix of the packages whose tests prove a cell of the table.
const provingPackages = "github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/"

// errNotAllTests is an output in which a test of a framework has failed or was skipped.
var errNotAllTests = errors.New("the table of frameworks needs all tests")

// readProofs returns the proofs in the output of go test -json. All tests must have run.
func readProofs(output io.Reader) (*ledger, error) {
	l := &ledger{proofs: map[proof]bool{}}
	for d := json.NewDecoder(output); ; {
		var event struct{ Action, Package, Test, Key, Value string }
		switch err := d.Decode(&event); {
		case errors.Is(err, io.EOF):
			return l, nil
		case err != nil:
			return nil, fmt.Errorf("read the output of go test: %w", err)
		}
		if !strings.HasPrefix(event.Package, provingPackages) {
			continue
		}
		if event.Test != "" && (event.Action == "fail" || event.Action == "skip") {
			return nil, fmt.Errorf("%w: %s of %s is %s", errNotAllTests, event.Test, event.Package, event.Action)
		}
		if event.Action != "attr" || event.Key != layouttest.ProofKey {
			continue
		}
		p := proof{folder: strings.TrimPrefix(event.Package, "github.com/backlog-scaler/backlog-scaler/")}
		p.test, _, _ = strings.Cut(event.Test, "/")
		if err := json.Unmarshal([]byte(event.Value), &p.Proof); err != nil {
			return nil, fmt.Errorf("read a proof of %s: %w", event.Test, err)
		}
		l.proofs[p] = true
	}
}

// TestFrameworksTable compares the table of docs/frameworks.md with what the tests have
// proven, or writes it.
func TestFrameworksTable(t *testing.T) {
	t.Parallel()
	if *provenBy == "" {
		return // make test and make frameworks-table give it
	}
	output, err := os.Open(*provenBy)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	l, err := readProofs(output)
	if errors.Is(err, errNotAllTests) && os.Getenv("CI") == "" && !*updateDocs {
		t.Log(err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	rows, err := l.table()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "..", "docs", "frameworks.md")
	document, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := reference.FillBy("frameworks-table", string(document), reference.Block{Name: "frameworks", Text: reference.Table(rows)})
	if err != nil {
		t.Fatal(err)
	}
	if *updateDocs {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(document)); diff != "" {
		t.Errorf("docs/frameworks.md is not what the tests have proven; make frameworks-table writes it again (-want +got):\n%s", diff)
	}
}

// table returns the rows, the head first.
func (l *ledger) table() ([][]string, error) {
	files := testFiles{}
	head := []string{"framework", "version tried"}
	for _, c := range columns() {
		head = append(head, string(c))
	}
	rows := [][]string{head}
	for _, f := range provenFrameworks() {
		versions := l.versions(f.layout)
		row := []string{fmt.Sprintf("[%s](triggers.md#%s-redis)", f.name, f.section()), strings.Join(versions, ", ")}
		for _, c := range columns() {
			tests, err := l.tests(f.layout, c, versions, files)
			if err != nil {
				return nil, err
			}

			reason, without := f.without[c]
			switch {
			case without == (tests != ""):
				return nil, fmt.Errorf("%s, %s: the proof is %q, and what it is said to be without %q", f.name, c, tests, reason)
			case without:
				row = append(row, "– "+reason)
			default:
				row = append(row, tests)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// versions are those with a proof, lowest first.
func (l *ledger) versions(layout string) []string {
	found := map[string]bool{}
	for p := range l.proofs {
		if p.Layout == layout {
			found[p.Version] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), byNumbers)
}

// tests are the links to what proves a cell, each with what it is limited to.
func (l *ledger) tests(layout string, c layouttest.Column, versions []string, files testFiles) (string, error) {
	type limits struct{ versions, notes map[string]bool }
	found := map[string]limits{}
	for p := range l.proofs {
		if p.Layout != layout || p.Column != c {
			continue
		}
		path, err := files.find(p.folder, p.test)
		if err != nil {
			return "", err
		}
		link := "[`" + p.test + "`](../" + path + ")"
		if _, known := found[link]; !known {
			found[link] = limits{map[string]bool{}, map[string]bool{}}
		}
		found[link].versions[p.Version] = true
		found[link].notes[p.Note] = true
	}
	var links []string
	for _, link := range slices.Sorted(maps.Keys(found)) {
		var limited []string
		if notes := found[link].notes; !notes[""] {
			limited = slices.Sorted(maps.Keys(notes))
		}
		if some := found[link].versions; len(some) < len(versions) {
			limited = append(limited, slices.SortedFunc(maps.Keys(some), byNumbers)...)
		}
		if len(limited) > 0 {
			link += " (" + strings.Join(limited, ", ") + ")"
		}
		links = append(links, link)
	}
	return strings.Join(links, ", "), nil
}

// byNumbers orders versions.
func byNumbers(a, b string) int {
	numbers := func(version string) []int {
		var all []int
		for part := range strings.SplitSeq(version, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				panic(fmt.Sprintf("%q is no version", version))
			}
			all = append(all, n)
		}
		return all
	}
	return slices.Compare(numbers(a), numbers(b))
}

// testFiles are the files in which the tests of a folder are, by folder and test.
type testFiles map[string]map[string]string

// find returns the path of the file in which a test is, from the module's folder.
func (f testFiles) find(folder, test string) (string, error) {
	if f[folder] == nil {
		f[folder] = map[string]string{}
		paths, err := filepath.Glob(filepath.Join("..", "..", "..", folder, "*_test.go"))
		if err != nil {
			return "", err
		}
		for _, path := range paths {
			source, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			for line := range strings.Lines(string(source)) {
				if name, _, found := strings.Cut(strings.TrimPrefix(line, "func "), "(t *testing.T) {"); found && strings.HasPrefix(name, "Test") {
					f[folder][name] = folder + "/" + filepath.Base(path)
				}
			}
		}
	}
	if f[folder][test] == "" {
		return "", fmt.Errorf("%s has no test %s", folder, test)
	}
	return f[folder][test], nil
}
