package layouttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience bounds the wait for a framework to do what it was asked to. It is
// long because a busy machine takes its time to start an interpreter.
const Patience = 2 * time.Minute

// A Driver is a process that uses a job framework on request: a line of input is a JSON
// array of an operation and its arguments, a line of output {"result": ...} or
// {"error": ...}. It ends with the test.
type Driver struct {
	T testing.TB
	// Layout and version are those of what it drives, once it was introduced.
	Layout, Version string

	process *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Scanner
	// faults is what it wrote to its standard error; read it after kill only.
	faults *bytes.Buffer
	killed sync.Once
}

// Installed returns a path below the folder into which hack/install-frameworks.sh
// installs a framework.
func Installed(t testing.TB, elements ...string) string {
	t.Helper()
	skipShort(t)
	path := filepath.Join(append([]string{moduleRoot(t), ".tools", "frameworks"}, elements...)...)
	if _, err := os.Stat(path); err != nil {
		missing(t, err)
	}
	return path
}

// moduleRoot returns the folder of go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	for dir := ".."; len(dir) < 64; dir = filepath.Join("..", dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			root, err := filepath.Abs(dir)
			if err != nil {
				t.Fatal(err)
			}
			return root
		}
	}
	t.Fatal("no go.mod above the folder of the test")
	return ""
}

// skipShort skips a test that drives a framework if the run is a short one: "make test-short".
func skipShort(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("job frameworks are not started in a short run")
	}
}

// missing ends a test whose framework is not here. In CI that is a fault; elsewhere
// the installer has said why it could not be had.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("find a job framework: %v; install it with hack/install-frameworks.sh", err)
	}
	t.Skipf("find a job framework: %v; hack/install-frameworks.sh installs it where it can be had", err)
}

// StartDriver starts a driver. The environment is that of the test and env. In a short run it
// skips the test.
func StartDriver(t testing.TB, env []string, program string, args ...string) *Driver {
	t.Helper()
	skipShort(t)
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, err)
	}
	d := &Driver{T: t, process: exec.Command(path, args...), faults: new(bytes.Buffer)} //nolint:noctx // ended by kill
	d.process.Env = append(os.Environ(), env...)
	d.process.Stderr = d.faults
	if d.input, err = d.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := d.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.output = bufio.NewScanner(output)
	if err := d.process.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	t.Cleanup(d.Kill)
	return d
}

// StartScript starts a driver that is a script of the folder testdata, which a program
// with its first arguments runs. The environment is that of the test and env.
func StartScript(t testing.TB, env, program []string, script string, args ...string) *Driver {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	return StartDriver(t, env, program[0], slices.Concat(program[1:], []string{path}, args)...)
}

// Introduce asks the library of a layout which version it is, which must be one of major.
func (d *Driver) Introduce(layout, major string) {
	d.T.Helper()
	d.Do(&d.Version, "version")
	if !strings.HasPrefix(d.Version, major+".") {
		d.T.Fatalf("the library of %s is version %s, want %s", layout, d.Version, major)
	}
	d.Layout = layout
}

// IntroduceDebian is introduce for a library that comes from Debian's packages. Its
// version is given as closely as it is pinned, since Debian moves on.
func (d *Driver) IntroduceDebian(layout, name, major string) {
	d.T.Helper()
	d.Introduce(layout, major)
	packages, err := os.ReadFile(filepath.Join("testdata", name, "packages"))
	if err != nil {
		d.T.Fatal(err)
	}
	_, pin, _ := strings.Cut(string(packages), "=")
	pin, _, pinned := strings.Cut(pin, ".*")
	if !pinned || !strings.HasPrefix(d.Version, pin+".") {
		d.T.Fatalf("%s is version %s, pinned is %q", name, d.Version, pin)
	}
	d.Version = pin
}

// EachVersion runs a test on each version of a framework, side by side.
func EachVersion[F any](t *testing.T, versions []string, start func(testing.TB, string) F, test func(*testing.T, F)) {
	t.Helper()
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			test(t, start(t, version))
		})
	}
}

// Kill ends the process at once, as the kernel does when memory runs out.
func (d *Driver) Kill() {
	d.killed.Do(func() {
		_ = d.process.Process.Kill()
		_ = d.process.Wait()
	})
}

// Do runs an operation and stores its result in the value that result points to.
func (d *Driver) Do(result any, operation string, args ...any) {
	d.T.Helper()
	line, err := json.Marshal(append([]any{operation}, args...))
	if err != nil {
		d.T.Fatal(err)
	}
	// A process that does not answer is ended, which ends the wait for its answer.
	impatience := time.AfterFunc(Patience, func() { _ = d.process.Process.Kill() })
	defer impatience.Stop()
	if _, err := d.input.Write(append(line, '\n')); err != nil {
		d.Kill()
		d.T.Fatalf("%s: %v\n%s", line, err, d.faults)
	}
	if !d.output.Scan() {
		d.Kill()
		d.T.Fatalf("%s: no answer: %v\n%s", line, d.output.Err(), d.faults)
	}
	var answer struct {
		Result json.RawMessage
		Error  string
	}
	if err := json.Unmarshal(d.output.Bytes(), &answer); err != nil {
		d.T.Fatalf("%s: answer %q: %v", line, d.output.Bytes(), err)
	}
	if answer.Error != "" {
		d.T.Fatalf("%s: %s", line, answer.Error)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		d.T.Fatalf("%s: result %q: %v", line, answer.Result, err)
	}
}
