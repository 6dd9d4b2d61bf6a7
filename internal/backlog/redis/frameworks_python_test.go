package redis_test

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

// python is a Python framework at work on a server of its own, which is read with the
// rights that are documented.
type python struct {
	*driver
	// name is that of the installation, such as "rq" or "rq-2".
	name   string
	server *redistest.Server
	source backlog.Source
	args   []string
}

// startPython starts a server and the driver of a framework; args follow the address.
// keys are those that the scaler may read.
func startPython(t testing.TB, name, major, keys string, args ...string) *python {
	t.Helper()
	server := redistest.Start(t)
	p := &python{name: name, server: server, args: args}
	p.driver = p.process(t)
	p.introduce(p.library(), major)
	p.source = openServer(t, server, user(redistest.Version{Name: "redis-7"}, server, keys, redis.ACLRules, redis.ACLFrameworkRules, redis.ACLMessageRules))
	return p
}

// process starts a further process that uses the framework.
func (p *python) process(t testing.TB) *driver {
	t.Helper()
	program := []string{framework(t, p.name, "venv", "bin", "python")}
	args := append([]string{p.server.Addr()}, p.args...)
	return startScript(t, []string{"PYTHONDONTWRITEBYTECODE=1"}, program, p.library()+"/driver.py", args...)
}

// library is what versions of one framework share: the driver, and the layout.
func (p *python) library() string {
	library, _, _ := strings.Cut(p.name, "-")
	return library
}

// work starts a worker; it ends when it is killed.
func (p *python) work(t testing.TB, args ...any) *driver {
	t.Helper()
	worker := p.process(t)
	worker.do(nil, "work", args...)
	return worker
}

// agrees waits until the reading of q is what own returns: workers move things meanwhile.
func (p *python) agrees(t testing.TB, step string, q backlog.Query, own func() figures) backlog.Reading {
	t.Helper()
	// Workers that are interpreted, on a machine that is busy, take their time.
	deadline := time.Now().Add(2 * frameworkPatience)
	for {
		want, r := own(), backlogtest.MustRead(t, p.source, q)
		diff := cmp.Diff(want, figuresOf(r))
		if diff == "" {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s counts otherwise than %+v:\n%s", step, p.name, r, diff)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// fallsDue checks that the reading of q tells when its delayed work is due, to a
// second, and counts it as soon as that time has come.
func (p *python) fallsDue(t testing.TB, q backlog.Query, due time.Time) {
	t.Helper()
	r := backlogtest.MustRead(t, p.source, q)
	next := notYetDue(t, r, due)
	time.Sleep(time.Until(next)) // It is the very thing under test that nothing else happens meanwhile.
	if r = backlogtest.MustRead(t, p.source, q); r.Ready+r.Due == 0 {
		t.Errorf("work that was due at %v reads as %+v", next, r)
	}
}

// unacquainted checks that q is missing, with a warning that contains words.
func (p *python) unacquainted(t testing.TB, q backlog.Query, words ...string) {
	t.Helper()
	r := backlogtest.MustRead(t, p.source, q)
	if !r.Missing {
		t.Errorf("a queue that nobody has used reads as %+v", r)
	}
	for _, word := range words {
		if !strings.Contains(r.Warning+r.Hint, word) {
			t.Errorf("neither the warning %q nor the hint %q contains %q", r.Warning, r.Hint, word)
		}
	}
}
