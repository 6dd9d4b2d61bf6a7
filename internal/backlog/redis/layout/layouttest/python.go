package layouttest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// Python is a Python framework at work on a server of its own, which is read with the
// rights that are documented.
type Python struct {
	*Driver
	// Name is that of the installation, such as "rq" or "rq-2".
	Name   string
	Server *redistest.Server
	Source backlog.Source
	args   []string
}

// StartPython starts a server and the driver of a framework; args follow the address.
// keys are those that the scaler may read.
func StartPython(t testing.TB, name, major, keys string, args ...string) *Python {
	t.Helper()
	server := redistest.Start(t)
	p := &Python{Name: name, Server: server, args: args}
	p.Driver = p.Process(t)
	p.Introduce(p.library(), major)
	p.Source = OpenServer(t, server, User(redistest.Version{Name: "redis-7"}, server, keys, redis.ACLRules, redis.ACLFrameworkRules, redis.ACLMessageRules))
	return p
}

// Process starts a further process that uses the framework.
func (p *Python) Process(t testing.TB) *Driver {
	t.Helper()
	program := []string{Installed(t, p.Name, "venv", "bin", "python")}
	args := append([]string{p.Server.Addr()}, p.args...)
	return StartScript(t, []string{"PYTHONDONTWRITEBYTECODE=1"}, program, p.library()+"/driver.py", args...)
}

// library is what versions of one framework share: the driver, and the layout.
func (p *Python) library() string {
	library, _, _ := strings.Cut(p.Name, "-")
	return library
}

// Work starts a worker; it ends when it is killed.
func (p *Python) Work(t testing.TB, args ...any) *Driver {
	t.Helper()
	worker := p.Process(t)
	worker.Do(nil, "work", args...)
	return worker
}

// Agrees waits until the reading of q is what own returns: workers move things meanwhile.
func (p *Python) Agrees(t testing.TB, step string, q backlog.Query, own func() Figures) backlog.Reading {
	t.Helper()
	// Workers that are interpreted, on a machine that is busy, take their time.
	deadline := time.Now().Add(2 * Patience)
	for {
		want, r := own(), backlogtest.MustRead(t, p.Source, q)
		diff := cmp.Diff(want, FiguresOf(r))
		if diff == "" {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s counts otherwise than %+v:\n%s", step, p.Name, r, diff)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// FallsDue checks that the reading of q tells when its delayed work is due, to a
// second, and counts it as soon as that time has come.
func (p *Python) FallsDue(t testing.TB, q backlog.Query, due time.Time) {
	t.Helper()
	r := backlogtest.MustRead(t, p.Source, q)
	next := NotYetDue(t, r, due)
	time.Sleep(time.Until(next)) // It is the very thing under test that nothing else happens meanwhile.
	if r = backlogtest.MustRead(t, p.Source, q); r.Ready+r.Due == 0 {
		t.Errorf("work that was due at %v reads as %+v", next, r)
	}
}

// CheckUnknown checks that q is missing, with a warning that contains words.
func (p *Python) CheckUnknown(t testing.TB, q backlog.Query, words ...string) {
	t.Helper()
	r := backlogtest.MustRead(t, p.Source, q)
	if !r.Missing {
		t.Errorf("a queue that was never used reads as %+v", r)
	}
	for _, word := range words {
		if !strings.Contains(r.Warning+r.Hint, word) {
			t.Errorf("neither the warning %q nor the hint %q contains %q", r.Warning, r.Hint, word)
		}
	}
}
