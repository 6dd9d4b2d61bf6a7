package redis_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/reference"
)

// A column of the table of frameworks is something that a reading tells of them.
type column string

const (
	columnWaiting     column = "waiting"
	columnPrioritised column = "prioritised"
	columnDue         column = "due"
	columnInFlight    column = "in flight"
	columnAge         column = "age"
	columnPaused      column = "paused"
	columnWakeUp      column = "wake-up"
)

func columns() []column {
	return []column{columnWaiting, columnPrioritised, columnDue, columnInFlight, columnAge, columnPaused, columnWakeUp}
}

// A provenFramework is a row of the table. What it is without, it has no proof of, and
// the other way round.
type provenFramework struct {
	layout, name string
	without      map[column]string
}

func provenFrameworks() []provenFramework {
	const queuesAlone, never = "queues have an order, jobs have none", "cannot be paused"
	return []provenFramework{
		{"sidekiq", "Sidekiq", map[column]string{columnPrioritised: queuesAlone}},
		{"resque", "Resque (node-resque)", map[column]string{columnPrioritised: queuesAlone, columnPaused: never}},
		{"laravel", "Laravel", map[column]string{columnPrioritised: queuesAlone, columnPaused: "kept in the application's cache"}},
		{"bullmq", "BullMQ", nil},
		{"bull", "Bull", nil},
		{"beequeue", "Bee-Queue", map[column]string{columnPrioritised: "no priorities", columnPaused: never}},
		{"asynq", "asynq", map[column]string{columnPrioritised: queuesAlone}},
		{"celery", "Celery", map[column]string{columnDue: "held by a worker, so in flight", columnAge: "messages do not say", columnPaused: "each worker by itself"}},
		{"rq", "RQ", map[column]string{columnPrioritised: queuesAlone}},
		{"dramatiq", "Dramatiq", map[column]string{columnPaused: never}},
		{"arq", "arq", map[column]string{columnPrioritised: "no priorities", columnPaused: never}},
		{"taskiq", "Taskiq (taskiq-redis)", map[column]string{columnPrioritised: queuesAlone, columnDue: "kept by its scheduler, a process of its own", columnPaused: never}},
	}
}

// section returns the layout of a framework, which documents it.
func (f provenFramework) section() string {
	if f.layout == "bull" {
		return "bullmq"
	}
	return f.layout
}

// A proof is that a test saw a column hold for a version of a framework; note says of
// what, if not of all its jobs.
type proof struct {
	layout, version string
	column          column
	test, note      string
}

// A ledger collects the proofs of all tests. It is safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	proofs  map[proof]bool
	missing bool
}

var (
	proofs     = &ledger{proofs: map[proof]bool{}}
	updateDocs = flag.Bool("update-docs", false, "write the table of docs/frameworks.md anew")
)

// miss notes that a framework was not there, so that its proofs are not complete.
func (l *ledger) miss() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missing = true
}

// prove notes what the test has just seen of the library that d drives, unless it failed.
func (d *driver) prove(all ...column) { d.proveOf("", all...) }

// proveOf is prove for what holds of some jobs alone.
func (d *driver) proveOf(note string, all ...column) {
	d.t.Helper()
	if d.layout == "" {
		d.t.Fatal("a proof of a library that was not introduced")
	}
	if d.t.Failed() {
		return
	}
	test, _, _ := strings.Cut(d.t.Name(), "/")
	proofs.mu.Lock()
	defer proofs.mu.Unlock()
	for _, c := range all {
		proofs.proofs[proof{d.layout, d.version, c, test, note}] = true
	}
}

// provingTests are tests that, when all of them ran and passed, must have proven what
// docs/frameworks.md says, no more and no less.
type provingTests struct{ *testing.M }

// provingNames is what the names of all tests that prove anything look like.
const provingNames = "^Test(Arq|Asynq|Beequeue|Bull|Celery|DelayedJobs|Dramatiq|KilledWorkers|Laravel|Resque|RQ|Sidekiq|Taskiq)"

// Run returns the exit code. To write the document no other tests are run.
func (p provingTests) Run() int {
	if *updateDocs {
		if err := flag.Set("test.run", provingNames); err != nil {
			panic(err)
		}
	}
	if code := p.M.Run(); code != 0 {
		return code
	}
	if err := proofs.settle(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// settle compares the document with the proofs, or writes it.
func (l *ledger) settle() error {
	given := func(name string) string { return flag.Lookup(name).Value.String() }
	if run := given("test.run"); l.missing || testing.Short() || given("test.skip")+given("test.list") != "" || run != "" && run != provingNames {
		if *updateDocs {
			return errors.New("the table of frameworks needs all tests of all frameworks")
		}
		return nil
	}
	rows, err := l.table()
	if err != nil {
		return err
	}
	path := filepath.Join("..", "..", "..", "docs", "frameworks.md")
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	want, err := reference.FillBy("frameworks-table", string(document), reference.Block{Name: "frameworks", Text: reference.Table(rows)})
	if err != nil {
		return err
	}
	if *updateDocs {
		return os.WriteFile(path, []byte(want), 0o644)
	}
	if diff := cmp.Diff(want, string(document)); diff != "" {
		return fmt.Errorf("docs/frameworks.md is not what the tests have proven; make frameworks-table writes it anew (-want +got):\n%s", diff)
	}
	return nil
}

// table returns the rows, the head first.
func (l *ledger) table() ([][]string, error) {
	files, err := testFiles()
	if err != nil {
		return nil, err
	}
	head := []string{"framework", "version tried"}
	for _, c := range columns() {
		head = append(head, string(c))
	}
	rows := [][]string{head}
	for _, f := range provenFrameworks() {
		versions := l.versions(f.layout)
		row := []string{fmt.Sprintf("[%s](triggers.md#%s-redis)", f.name, f.section()), strings.Join(versions, ", ")}
		for _, c := range columns() {
			tests := l.tests(f.layout, c, versions, files)
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

// versions are those of which anything was proven, lowest first.
func (l *ledger) versions(layout string) []string {
	found := map[string]bool{}
	for p := range l.proofs {
		if p.layout == layout {
			found[p.version] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), byNumbers)
}

// tests are the links to what proves a cell, each with what it is limited to.
func (l *ledger) tests(layout string, c column, versions []string, files map[string]string) string {
	type limits struct{ versions, notes map[string]bool }
	found := map[string]limits{}
	for p := range l.proofs {
		if p.layout != layout || p.column != c {
			continue
		}
		if _, known := found[p.test]; !known {
			found[p.test] = limits{map[string]bool{}, map[string]bool{}}
		}
		found[p.test].versions[p.version] = true
		found[p.test].notes[p.note] = true
	}
	var links []string
	for _, test := range slices.Sorted(maps.Keys(found)) {
		var limited []string
		if notes := found[test].notes; !notes[""] {
			limited = slices.Sorted(maps.Keys(notes))
		}
		if some := found[test].versions; len(some) < len(versions) {
			limited = append(limited, slices.SortedFunc(maps.Keys(some), byNumbers)...)
		}
		link := "[`" + test + "`](../internal/backlog/redis/" + files[test] + ")"
		if len(limited) > 0 {
			link += " (" + strings.Join(limited, ", ") + ")"
		}
		links = append(links, link)
	}
	return strings.Join(links, ", ")
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

// testFiles are the files of this folder in which the tests are, by test.
func testFiles() (map[string]string, error) {
	paths, err := filepath.Glob("*_test.go")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(source)) {
			if name, _, found := strings.Cut(strings.TrimPrefix(line, "func "), "(t *testing.T) {"); found && strings.HasPrefix(name, "Test") {
				files[name] = path
			}
		}
	}
	return files, nil
}
