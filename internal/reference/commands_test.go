package reference

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

var target = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)

// TestMakeTargets wants every "make X" of the documents in the Makefile.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	targets := submatches(target, read(t, "Makefile"))
	for _, d := range documents(t) {
		for _, line := range commandLines(d) {
			words := Words(line)
			if len(words) < 2 || words[0] != "make" {
				continue
			}
			for _, word := range words[1:] {
				if !strings.Contains(word, "=") && !slices.Contains(targets, word) {
					t.Errorf("%s: the Makefile has no target of %q", d.path, line)
				}
			}
		}
	}
}

var fileName = regexp.MustCompile(`^# ([a-z]+\.(?:yaml|csv))\n`)

// commandLines are all lines of shell in a document, and its code within lines.
func commandLines(d document) []string {
	lines := Spans(d.prose)
	for _, fence := range d.fences {
		switch fence.Language {
		case "sh":
			lines = append(lines, CommandLines(fence.Text)...)
		case "console":
			for _, s := range sessions(fence.Text) {
				lines = append(lines, s.command)
			}
		}
	}
	return lines
}

// TestCommands runs every command of the scaler and of its plugin that the documents show. What
// stands within a line, such as "scaler check --config FILE", is held to the
// program's own parser.
func TestCommands(t *testing.T) {
	t.Parallel()
	box := newSandbox(t)
	for _, d := range own(t) {
		for _, span := range Spans(d.prose) {
			if c, ok := callOf(strings.TrimSuffix(span, " ...")); ok {
				box.parses(t, d.path, c)
			}
		}
		for _, fence := range d.fences {
			switch fence.Language {
			case "sh":
				for _, line := range CommandLines(fence.Text) {
					if c, ok := callOf(line); ok {
						box.works(t, d.at(fence), c)
					}
				}
			case "console":
				for _, s := range sessions(fence.Text) {
					box.prints(t, d.at(fence), s)
				}
			}
		}
	}
}

// A call is a command of one of the programs.
type call struct {
	// program is its path, and name is what a user types.
	program, name string
	args          []string
}

func (c call) String() string { return c.name + " " + strings.Join(c.args, " ") }

// has reports whether the call begins with words.
func (c call) has(words ...string) bool {
	return len(c.args) >= len(words) && slices.Equal(c.args[:len(words)], words)
}

// offline reports whether the call needs neither a running scaler nor a cluster.
func (c call) offline() bool {
	if c.has("doctor") {
		return slices.Contains(c.args, "--offline")
	}
	if c.program == plugin {
		return c.has("policy", "check") || c.has("version") || c.has("completion", "print")
	}
	return !c.has("explain") && !c.has("watch") && !c.has("record")
}

var word = regexp.MustCompile(`^-?-?[a-z]+$`)

// callOf returns the call of a line that calls one of the programs with any arguments.
func callOf(line string) (call, bool) {
	words := Words(line)
	if i := slices.Index(words, "|"); i >= 0 {
		words = words[:i]
	}
	switch {
	case len(words) > 1 && words[0] == "scaler" && word.MatchString(words[1]):
		return call{scaler, "scaler", words[1:]}, true
	case len(words) > 2 && words[0] == "kubectl" && words[1] == "backlog" && word.MatchString(words[2]):
		return call{plugin, "kubectl backlog", words[2:]}, true
	default:
		return call{}, false
	}
}

// A session is a command and what it prints.
type session struct{ command, output string }

func sessions(text string) []session {
	var all []session
	for line := range strings.Lines(text) {
		if command, found := strings.CutPrefix(line, "$ "); found {
			all = append(all, session{command: strings.TrimSpace(command)})
		} else if len(all) > 0 {
			all[len(all)-1].output += line
		}
	}
	return all
}

// A sandbox is a folder with the files that the documents name, and the Redis of
// their connections.
type sandbox struct{ dir string }

func newSandbox(t *testing.T) sandbox {
	t.Helper()
	server := redistest.Start(t)
	fillQueues(server)
	box := sandbox{dir: t.TempDir()}
	write(t, filepath.Join(box.dir, "config.yaml"), connections(server.Addr()))
	certificates := redistest.Start(t, redistest.WithTLS()).Certificates()
	for name, file := range map[string]backlog.File{
		"ca.crt": certificates.CA, "tls.crt": certificates.Cert, "tls.key": certificates.Key,
	} {
		write(t, filepath.Join(box.dir, name), string(file.Data))
	}
	for _, d := range own(t) {
		for _, fence := range d.fences {
			// A file that commands name begins with its name.
			if name := fileName.FindStringSubmatch(fence.Text); name != nil && (fence.Language == "yaml" || fence.Language == "csv") {
				write(t, filepath.Join(box.dir, name[1]), fence.Text)
			}
		}
	}
	return box
}

func (b sandbox) command(ctx context.Context, c call) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "COLUMNS=2000")
	return cmd
}

// parses holds a call to the parser of the command line.
func (b sandbox) parses(t *testing.T, place string, c call) {
	t.Helper()
	help := c
	help.args = append(slices.Clone(c.args), "--help")
	if out, err := b.command(t.Context(), help).CombinedOutput(); err != nil {
		t.Errorf("%s: %s: %v\n%s", place, c, err, out)
	}
}

// works runs a call and wants it to succeed.
func (b sandbox) works(t *testing.T, place string, c call) {
	t.Helper()
	switch {
	case c.has("serve"):
		b.serves(t, place, c)
	case !c.offline():
		b.parses(t, place, c)
	default:
		if out, err := b.command(t.Context(), c).CombinedOutput(); err != nil {
			t.Errorf("%s: %s: %v\n%s", place, c, err, out)
		}
	}
}

// serves runs "scaler serve" until it says that it serves, and ends it by SIGTERM.
func (b sandbox) serves(t *testing.T, place string, c call) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := b.command(ctx, c)
	// Ports of the test, unless the line names some.
	cmd.Env = append(cmd.Env, "SCALER_GRPC_ADDRESS=127.0.0.1:0", "SCALER_HTTP_ADDRESS=127.0.0.1:0", "SCALER_ADMIN_ADDRESS=127.0.0.1:0", "SCALER_DRAIN_DELAY=0s")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "serving") {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %s: %v\n%s", place, c, err, text.String())
	}
}

// prints runs a command and compares what it prints with the document, except for
// numbers and the space between columns.
func (b sandbox) prints(t *testing.T, place string, s session) {
	t.Helper()
	c, ok := callOf(s.command)
	if !ok {
		t.Errorf("%s: %q is not a command of the scaler or its plugin", place, s.command)
		return
	}
	// A failing command is shown for what it says.
	out, _ := b.command(t.Context(), c).CombinedOutput()
	got := strings.ReplaceAll(string(out), b.dir, "/etc/backlog-scaler")
	if diff := cmp.Diff(normal(s.output), normal(got)); diff != "" {
		t.Errorf("%s: %s (-document +program):\n%s", place, s.command, diff)
	}
}

var (
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
	duration = regexp.MustCompile(`\b\d+(\.\d+)?(ms|µs|s)\b`)
	version  = regexp.MustCompile(`(redis|valkey) \d[\d.]*|go\d[\d.]*|revision \w+|scaler (dev|v?\d)\S*`)
	quality  = regexp.MustCompile(`\(upper bound\)`) // depends on the server's version
	blank    = regexp.MustCompile(` +`)
)

// normal is output without what differs from run to run.
func normal(output string) []string {
	output = moment.ReplaceAllString(output, "TIME")
	output = version.ReplaceAllString(output, "VERSION")
	output = duration.ReplaceAllString(output, "DURATION")
	output = quality.ReplaceAllString(output, "(exact)")
	output = blank.ReplaceAllString(output, " ")
	return strings.Split(strings.TrimSpace(output), "\n")
}
