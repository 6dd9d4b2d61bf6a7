package tap

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// A bench is a tap with one user, and a clock.
type bench struct {
	*tap

	user *user
	now  time.Time
}

// newBench returns a tap that is bound and has armed its user.
func newBench(t *testing.T) *bench {
	t.Helper()
	q := backlog.Query{Layout: "queue", Queue: "invoices"}
	b := &bench{user: &user{}, now: time.Unix(1_000_000, 0)}
	b.tap = &tap{key: Key{"orders", "paid"}, name: "tap", users: map[backlog.Query]*user{q: b.user}, declared: true, vetted: true}
	b.rearm(t)
	return b
}

// after moves the clock.
func (b *bench) after(d time.Duration) *bench {
	b.now = b.now.Add(d)
	return b
}

// empty and full are reads of a queue.
func (b *bench) empty() bool {
	return b.observe(b.user, Read{Began: b.now, At: b.now, Idle: true, Prompt: true, Unused: true, Returned: 21 * time.Second})
}

func (b *bench) full() {
	b.observe(b.user, Read{Began: b.now, At: b.now, Waiting: true, Prompt: true, Returned: 21 * time.Second})
}

// rearm binds the tap as soon as it may be, and reads until the queue is armed.
func (b *bench) rearm(t *testing.T) {
	t.Helper()
	b.empty()
	for range 10 {
		step, due := b.next(b.now)
		switch step {
		case stepUnbind:
			b.bound = false
			continue
		case stepBind:
			b.bind(b.now)
		case stepNone:
			b.after(due.Sub(b.now))
			continue
		case stepDeclare, stepDelete:
			t.Fatalf("step %d", step)
		}
		break
	}
	if b.after(settleTime - 1).empty() {
		t.Fatal("a read that began too soon after the binding is armed")
	}
	if !b.after(1).empty() && b.now.After(b.user.distrust) {
		t.Fatalf("the queue is not armed: %+v of %+v", b.user, b.tap)
	}
}

// TestTapRests: the pause after a delivery grows while deliveries follow each binding soon.
func TestTapRests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
		want := time.Duration(seconds) * time.Second
		if woken := b.hear(b.now); len(woken) != 1 {
			t.Fatalf("a delivery wakes %v", woken)
		}
		if woken := b.hear(b.now); len(woken) != 0 {
			t.Fatalf("a second delivery wakes %v", woken)
		}
		if b.empty() {
			t.Fatal("a queue is armed after its tap has heard a delivery")
		}
		if got := b.rest.Sub(b.now); got != want {
			t.Errorf("the tap rests for %s, want %s", got, want)
		}
		b.rearm(t)
	}
	b.after(calmTime).hear(b.now)
	if got := b.rest.Sub(b.now); got != minRest {
		t.Errorf("after a calm time the tap rests for %s", got)
	}
}

// TestTapIsDistrusted: what a tap has not announced ends the trust in it, for longer each time, unless
// the copy comes a moment later.
func TestTapIsDistrusted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.after(time.Hour).full()
	b.hear(b.now.Add(lateTime / 2))
	b.after(lateTime).full()
	if b.warning(b.user) != "" {
		t.Errorf("a copy that came late leaves the warning %q", b.warning(b.user))
	}
	b.rearm(t)
	for _, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		want := time.Duration(minutes) * time.Minute
		b.after(time.Hour).full()
		b.after(lateTime).empty()
		if got := b.user.distrust.Sub(b.now); got != want {
			t.Errorf("the queue is polled for %s, want %s", got, want)
		}
		if !strings.Contains(b.warning(b.user), `the exchange "orders" does not route`) {
			t.Errorf("the warning is %q", b.warning(b.user))
		}
		b.rearm(t)
		if b.after(want - time.Minute/2).empty() {
			t.Error("the queue is armed while its tap is not trusted")
		}
		if !b.after(time.Minute/2).empty() || b.warning(b.user) != "" {
			t.Errorf("the queue is not armed after that: %q", b.warning(b.user))
		}
	}
	b.hear(b.now)
	if b.user.distrusted != maxDistrust/2 {
		t.Errorf("an announced message leaves a distrust of %s", b.user.distrusted)
	}
}

// TestReturnedMessagesAreNoOtherWay: messages that a consumer may have returned say nothing about the
// exchange.
func TestReturnedMessagesAreNoOtherWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unused    bool
		quiet     time.Duration
		distrusts bool
	}{
		"consumers, soon":     {false, 20 * time.Second, false},
		"consumers, late":     {false, time.Minute, true},
		"no consumers, soon":  {true, 20 * time.Second, true},
		"no consumers, later": {true, time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.hear(b.now)
			b.full()
			b.rearm(t)
			b.user.unused = c.unused
			b.now = b.user.busy.Add(c.quiet)
			b.full()
			b.after(lateTime).full()
			if distrusts := b.user.distrust.After(b.now); distrusts != c.distrusts {
				t.Errorf("distrusted: %t, want %t", distrusts, c.distrusts)
			}
		})
	}
}

// TestTapIsLookedForAgain: a message shows in a quorum queue later than its copy.
func TestTapIsLookedForAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.user.prompt = false
	if woken := b.hear(b.now); len(woken) != 0 {
		t.Fatalf("a delivery wakes %v before the message shows", woken)
	}
	if b.announces(b.now) || !b.announces(b.now.Add(commitTime)) || b.announces(b.now.Add(commitTime)) {
		t.Error("the delivery is not announced once, a moment later")
	}
	read := func() {
		b.observe(b.user, Read{Began: b.now, At: b.now, Idle: true, Unused: true})
	}
	b.after(commitTime)
	read()
	if b.announces(b.now) || !b.announces(b.now.Add(echoTime)) {
		t.Error("an empty queue is not read again")
	}
	b.after(echoFor)
	read()
	if !b.echo.IsZero() {
		t.Error("an empty queue is read again for too long")
	}
	b.rearm(t)
	if woken := b.hear(b.now); len(woken) != 1 || b.empty() || !b.announces(b.now.Add(echoTime)) {
		t.Error("an empty classic queue is not read again")
	}
	// What is to be announced is not lost with the connection.
	b.rearm(t)
	b.user.prompt = false
	b.hear(b.now)
	if woken := b.reset(); len(woken) != 1 {
		t.Errorf("the loss of the connection wakes %v", woken)
	}
}

// TestTapsWake: the end of a consumer or of the connection wakes what is armed, and a user that is not
// read any more is forgotten.
func TestTapsWake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wakes.New()
		life, end := context.WithCancel(t.Context())
		defer end()
		go w.Run(life)
		a := New(&dialer.Config{}, nil, nil, w)
		key, q := Key{"orders", ""}, backlog.Query{Layout: "queue", Queue: "invoices", Namespace: "shop"}
		arm := func() *tap {
			t.Helper()
			for range 3 {
				time.Sleep(maxFaultRest)
				read := Read{Began: time.Now(), At: time.Now(), Idle: true, Prompt: true, Unused: true}
				if armed, _ := a.Observe(key, q, read, nil); armed {
					break
				}
				one := a.all[key]
				one.declared, one.vetted = true, true
				one.bind(time.Now())
			}
			if one := a.all[key]; one.users[q].armed.IsZero() {
				t.Fatalf("the query is not armed: %+v", one)
			}
			return a.all[key]
		}
		name := arm().name
		a.cancelled(name)
		if wake := <-w.Out(); len(wake.Queries) != 1 || wake.Queries[0] != q {
			t.Errorf("the end of the consumer wakes %+v", wake)
		}
		arm()
		a.down(nil)
		if wake := <-w.Out(); len(wake.Queries) != 1 || wake.Queries[0] != q {
			t.Errorf("the end of the connection wakes %+v", wake)
		}
		one := arm()
		time.Sleep(forgetAfter + 1)
		if work := a.next(time.Now()); !work.some || work.steps[one] != stepDelete || len(a.users) != 0 {
			t.Errorf("a tap that is not used has the steps %v", work.steps)
		}
		one.reset()
		if a.next(time.Now()).some || len(a.all)+len(a.byName) != 0 {
			t.Error("a tap that is gone is remembered")
		}
		end()
		synctest.Wait()
	})
}

// TestTapsAreBounded: a namespace and a connection have a limit.
func TestTapsAreBounded(t *testing.T) {
	t.Parallel()
	a := New(&dialer.Config{}, nil, nil, wakes.New())
	add := func(namespace string, i int) string {
		key := Key{exchange: namespace, keys: time.Duration(i).String()}
		q := backlog.Query{Layout: "queue", Queue: key.keys, Namespace: namespace}
		_, warning := a.Observe(key, q, Read{At: time.Now(), Idle: true}, nil)
		return warning
	}
	for _, namespace := range []string{"first", "second"} {
		for i := range maxUsers {
			if warning := add(namespace, i); warning != "" {
				t.Fatalf("tap %d of namespace %s: %s", i, namespace, warning)
			}
		}
		if warning := add(namespace, maxUsers); !strings.Contains(warning, "limit") {
			t.Errorf("one tap more of namespace %s has the warning %q", namespace, warning)
		}
	}
	if warning := add("third", 0); !strings.Contains(warning, "limit") {
		t.Errorf("one tap more of the connection has the warning %q", warning)
	}
	if len(a.all) != maxTaps || len(a.byName) != maxTaps {
		t.Errorf("%d taps, want %d", len(a.all), maxTaps)
	}
}
