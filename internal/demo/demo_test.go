package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/operator"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTimeout bounds the wait for what a demo shows. It passes only where something is wrong.
const testTimeout = 2 * time.Minute

// An output is what a demo shows.
type output struct {
	// mu guards buffer: the demo writes, the test reads.
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// await waits until the output matches pattern, and returns the match.
func (o *output) await(t *testing.T, pattern string) []string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	deadline := time.Now().Add(testTimeout)
	for {
		if match := expression.FindStringSubmatch(o.String()); match != nil {
			return match
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no %q after %s in:\n%s", pattern, testTimeout, o)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// fast are the options of a demo that takes some seconds.
func fast(out *output) Options {
	return Options{
		GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0", AdminAddress: "127.0.0.1:0",
		Polling: time.Second, Sync: 400 * time.Millisecond, Cooldown: time.Second, Stabilization: time.Second,
		Workloads: workload.Specs(20, 1), Policies: withSchedule(""), Finite: true, Duration: testTimeout,
		Out: out, Engines: engines.All(), Build: telemetry.NewBuild("test", ""),
	}
}

// withSchedule returns the policy of the demo with another schedule; with none if it is empty.
func withSchedule(schedules string) []byte {
	text, _, _ := strings.Cut(string(operator.Policy()), "  schedules:")
	return []byte(text + schedules)
}

// start runs a demo until stop is called, which waits for its end and checks that
// it left nothing behind.
func start(t *testing.T, options Options) (wait, stop func()) {
	t.Helper()
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, options) }()
	wait = sync.OnceFunc(func() {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run the demo: %v", err)
			}
		case <-time.After(2 * testTimeout):
			t.Fatal("the demo does not end")
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("the demo leaves %v behind (%v)", left, err)
		}
	})
	stop = func() {
		cancel()
		wait()
	}
	t.Cleanup(stop)
	return wait, stop
}

// allGoUpAndDown checks that each workload was scaled from zero, by the HPA, and to
// zero again, and that no message is left.
func allGoUpAndDown(t *testing.T, out *output) {
	t.Helper()
	for _, name := range []string{"emails", "orders", "reminders", "invoices"} {
		patterns := []string{
			name + ` +GetMetricSpec: metric \S+, target 5 for each replica\n`,
			name + ` +0 → 1  (woken \d+\.\d ms after the (write|due moment)|the poll saw work)\n`,
			name + ` +1 → \d+  HPA: ceil\(\d+/5\) = \d+`,
			name + ` +\d+ → 0  inactive for more than 1s\n`,
		}
		if name == "invoices" { // its policy decides on replicas, and its few messages need one
			patterns[0], patterns[2] = name+` +GetMetricSpec: metric \S+, target 1 for each replica\n`, ``
		}
		for _, pattern := range patterns {
			if !regexp.MustCompile(pattern).MatchString(out.String()) {
				t.Errorf("%s: there is no %q", name, pattern)
			}
		}
		counts := regexp.MustCompile(name + `: (\d+) messages sent, (\d+) done\n`).FindStringSubmatch(out.String())
		if len(counts) != 3 || counts[1] != counts[2] {
			t.Errorf("%s: not all messages are done: %v", name, counts)
		}
	}
	// Whether a poll or a push comes first is open here; that pushes wake is held by
	// TestOnTerminal and TestHints, in which there are no polls.
	if t.Failed() {
		t.Logf("the demo shows:\n%s", out)
	}
}

func TestOnRedisServer(t *testing.T) {
	redistest.Program(t)
	out := new(output)
	wait, _ := start(t, fast(out))
	out.await(t, `reads redis-server \d+\.\d+`)
	out.await(t, `scaler +notices changes by tracking\n`)
	wait()
	allGoUpAndDown(t, out)
}

func TestInProcess(t *testing.T) {
	out := new(output)
	options := fast(out)
	options.InProcess = true
	wait, _ := start(t, options)
	out.await(t, `This is no redis-server \(none was wanted\)`)
	out.await(t, `scaler +notices changes by poll\n`)
	wait()
	allGoUpAndDown(t, out)
}

// Without a program of that name on the PATH, the demo does without.
func TestNothingInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	out := new(output)
	_, stop := start(t, fast(out))
	out.await(t, `This is no redis-server \(none is installed\)`)
	stop()
}

// A terminal shows a table, and is given back at the end.
func TestOnTerminal(t *testing.T) {
	out := new(output)
	options := fast(out)
	options.InProcess, options.Color = true, true
	options.Size = func() (width, height int) { return 120, 40 }
	options.Workloads = workload.Specs(1, 0)
	for i := range options.Workloads {
		options.Workloads[i].Bursts.First = time.Hour
	}
	options.Workloads[0].Bursts.First = 5 * time.Second
	// So that it is the push that wakes. Only the first poll is at once.
	options.Polling, options.Finite = time.Hour, false
	_, stop := start(t, options)
	out.await(t, `WORKLOAD +QUEUE +WAITING +IN FLIGHT +OLDEST +WANTED +RUNNING +WHY`)
	out.await(t, `reminders +sortedSet reminders +0 +- +0 s +0 +0 +idle: 30 messages in \d+ s`)
	out.await(t, `emails +0 → 1  woken`)
	out.await(t, `emails +list emails +[1-9]\d* +\d+ +- +\d+ +\d`)
	stop()
	shown := out.String()
	if !strings.HasPrefix(shown, "\x1b[?1049h") || strings.Count(shown, "\x1b[?1049l") != 1 {
		t.Errorf("the terminal is not given back")
	}
}

// The window of a policy brings an idle workload up when it opens, and lets it go when it closes.
func TestSchedule(t *testing.T) {
	out := new(output)
	options := fast(out)
	options.InProcess, options.Finite = true, false
	for i := range options.Workloads {
		options.Workloads[i].Bursts.First = time.Hour
	}
	opens := time.Now().Add(5 * time.Second).Truncate(time.Second).UTC()
	options.Policies = withSchedule(fmt.Sprintf("  schedules:\n    - {name: rush, from: %q, until: %q, floor: 3}\n",
		opens.Format(time.RFC3339), opens.Add(8*time.Second).Format(time.RFC3339)))
	_, stop := start(t, options)
	page := out.await(t, `has a schedule: (http://[0-9.:]+/policies/demo/invoices)`)[1]
	out.await(t, `invoices +GetMetricSpec: metric \S+, target 1 for each replica\n`)
	out.await(t, `invoices +window rush opens: at least 3 replicas; it closes in 8 s\n`)
	out.await(t, `invoices +0 → 1  `)
	out.await(t, `invoices +1 → 3  HPA: ceil\(3/1\) = 3\n`)
	answers(t, "", "curl -s "+page, `(?s)<title>.*demo/invoices.*rush`)
	out.await(t, `invoices +window rush closes: at least 0 replicas\n`)
	out.await(t, `invoices +3 → 0  inactive for more than 1s\n`)
	stop()
	if got := out.String(); !strings.Contains(got, "invoices: 0 messages sent, 0 done") {
		t.Errorf("the schedule alone is to decide:\n%s", got)
	}
}

// Every line that the demo offers works as it stands.
func TestHints(t *testing.T) {
	redistest.Program(t)
	tool := buildGRPCurl(t)
	out := new(output)
	options := fast(out)
	options.Workloads = workload.Specs(1, 0)
	// Nothing comes by itself, so that the answers are known.
	for i := range options.Workloads {
		options.Workloads[i].Bursts.First = time.Hour
		// What is written by a hint is there still when the next hint asks for it.
		options.Workloads[i].Work = 8 * time.Second
	}
	// So that it is the push that wakes.
	options.Polling, options.Finite = time.Hour, false
	_, stop := start(t, options)
	out.await(t, `emails +GetMetricSpec`)

	command := func(pattern string) string { return out.await(t, `(?m)^(`+pattern+`)$`)[1] }
	answers(t, tool, command(`grpcurl .*/IsActive`), `"result": false|\{\}`)
	answers(t, tool, command(`grpcurl .*/GetMetrics`), `"metricName": "any"`)
	stream := command(`grpcurl .*/StreamIsActive`)
	streaming := begin(t, tool, stream)
	streaming.await(t, `"result": false|\{\s*\}`)
	answers(t, tool, command(`redis-cli .*`), `3`)
	streaming.await(t, `"result": true`)
	out.await(t, `emails +0 → 1  woken`)
	answers(t, tool, command(`grpcurl .*/GetMetrics`), `"metricValueFloat": [123]\b`)
	page := out.await(t, `decision as a picture: (http://[0-9.:]+/)`)[1]
	answers(t, tool, "curl -s "+page, `(?s)<table.*demo/emails`)
	answers(t, tool, command(`go run ./cmd/scaler explain .*`), `(?s)demo/invoices.*backlog`)
	answers(t, tool, command(`curl .*`), `(?m)^backlog_scaler_trigger_target\{.*scaledobject="emails".*\} 5$`)
	stop()
}

// buildGRPCurl builds the pinned grpcurl into a folder, and returns that.
func buildGRPCurl(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/grpcurl/go.mod",
		"-o", filepath.Join(folder, "grpcurl"), "github.com/fullstorydev/grpcurl/cmd/grpcurl")
	build.Dir = "../.."
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build grpcurl: %v\n%s", err, text)
	}
	return folder
}

// begin runs a line in a shell until the test ends, and returns what it prints.
func begin(t *testing.T, tool, line string) *output {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	// exec, so that it is the program that is killed and not the shell before it.
	shell := exec.CommandContext(ctx, "sh", "-c", "exec "+line)
	shell.Env = append(os.Environ(), "PATH="+tool+string(os.PathListSeparator)+os.Getenv("PATH"))
	out := new(output)
	shell.Stdout, shell.Stderr = out, out
	if err := shell.Start(); err != nil {
		t.Fatalf("run %s: %v", line, err)
	}
	t.Cleanup(func() {
		cancel()
		// It was killed, which is its error.
		_ = shell.Wait()
	})
	return out
}

// answers runs a line in a shell and checks what it prints.
func answers(t *testing.T, tool, line, want string) {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "sh", "-c", line)
	shell.Dir = "../.." // where "make run" is
	shell.Env = append(os.Environ(), "PATH="+tool+string(os.PathListSeparator)+os.Getenv("PATH"))
	text, err := shell.CombinedOutput()
	if err != nil || !regexp.MustCompile(want).Match(text) {
		t.Errorf("%s\nanswers (%v)\n%s\nwant %s", line, err, text, want)
	}
}

// A port that is taken is an error that names the flag.
func TestPortTaken(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, change := range map[string]func(*Options){
		"--grpc-address":  func(o *Options) { o.GRPCAddress = taken.Addr().String() },
		"--http-address":  func(o *Options) { o.HTTPAddress = taken.Addr().String() },
		"--admin-address": func(o *Options) { o.AdminAddress = taken.Addr().String() },
	} {
		options := fast(new(output))
		options.InProcess = true
		change(&options)
		err := Run(t.Context(), options)
		if err == nil || !strings.Contains(err.Error(), "choose another address with "+flag+", such as "+flag+" 127.0.0.1:0") {
			t.Errorf("%s is taken: error %v", flag, err)
		}
	}
}

// A redis-server that was named has to be there.
func TestNamedServerMissing(t *testing.T) {
	options := fast(new(output))
	options.Redis = filepath.Join(t.TempDir(), "redis-server")
	if err := Run(t.Context(), options); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one of a file that does not exist", err)
	}
}
