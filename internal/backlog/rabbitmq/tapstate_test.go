package rabbitmq

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/wakes"
)

// A bench is a tap with one user, and a clock.
type bench struct {
	*tap

	user *tapUser
	now  time.Time
}

// newBench returns a tap that is bound and has armed its user.
func newBench(t *testing.T) *bench {
	t.Helper()
	q := backlog.Query{Layout: layoutQueue, Queue: "invoices"}
	b := &bench{user: &tapUser{}, now: time.Unix(1_000_000, 0)}
	b.tap = &tap{key: tapKey{"orders", "paid"}, name: "tap", users: map[backlog.Query]*tapUser{q: b.user}, declared: true, vetted: true}
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
	return b.observe(b.user, tapRead{began: b.now, at: b.now, idle: true, prompt: true, unused: true, returned: 21 * time.Second})
}

func (b *bench) full() {
	b.observe(b.user, tapRead{began: b.now, at: b.now, waiting: true, prompt: true, returned: 21 * time.Second})
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
	if b.after(tapSettle - 1).empty() {
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
	b.after(tapCalm).hear(b.now)
	if got := b.rest.Sub(b.now); got != minTapRest {
		t.Errorf("after a calm time the tap rests for %s", got)
	}
}

// TestTapIsDistrusted: what a tap has not announced ends the trust in it, for longer each time, unless
// the copy comes a moment later.
func TestTapIsDistrusted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.after(time.Hour).full()
	b.hear(b.now.Add(tapLate / 2))
	b.after(tapLate).full()
	if b.warning(b.user) != "" {
		t.Errorf("a copy that came late leaves the warning %q", b.warning(b.user))
	}
	b.rearm(t)
	for _, minutes := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		want := time.Duration(minutes) * time.Minute
		b.after(time.Hour).full()
		b.after(tapLate).empty()
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
			b.after(tapLate).full()
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
		b.observe(b.user, tapRead{began: b.now, at: b.now, idle: true, unused: true})
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
		a := newTaps(&config{}, nil, nil, w)
		key, q := tapKey{"orders", ""}, backlog.Query{Layout: layoutQueue, Queue: "invoices", Namespace: "shop"}
		arm := func() *tap {
			t.Helper()
			for range 3 {
				time.Sleep(maxFaultRest)
				read := tapRead{began: time.Now(), at: time.Now(), idle: true, prompt: true, unused: true}
				if armed, _ := a.observe(key, q, read, nil); armed {
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
		time.Sleep(forgetTap + 1)
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
	a := newTaps(&config{}, nil, nil, wakes.New())
	add := func(namespace string, i int) string {
		key := tapKey{exchange: namespace, keys: time.Duration(i).String()}
		q := backlog.Query{Layout: layoutQueue, Queue: key.keys, Namespace: namespace}
		_, warning := a.observe(key, q, tapRead{at: time.Now(), idle: true}, nil)
		return warning
	}
	for _, namespace := range []string{"first", "second"} {
		for i := range maxTapUsers {
			if warning := add(namespace, i); warning != "" {
				t.Fatalf("tap %d of namespace %s: %s", i, namespace, warning)
			}
		}
		if warning := add(namespace, maxTapUsers); !strings.Contains(warning, "limit") {
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

// TestCheckTap has parameters that do not go together.
func TestCheckTap(t *testing.T) {
	t.Parallel()
	allowed := backlog.NewSettings(map[string]any{settingAllowTap: true, "managementURL": "http://rabbitmq:15672"})
	for name, c := range map[string]struct {
		params   map[string]string
		settings backlog.Settings
		want     string
	}{
		"poll":                   {params: map[string]string{"wakeUp": "poll"}},
		"tap":                    {params: map[string]string{"wakeUp": "tap", "exchange": "orders", "routingKeys": "a,b"}, settings: allowed},
		"fanout":                 {params: map[string]string{"wakeUp": "tap", "exchange": "orders"}, settings: allowed},
		"not allowed":            {map[string]string{"wakeUp": "tap", "exchange": "orders"}, backlog.Settings{}, "wakeUp: tap needs allowTap: true in the settings of the connection"},
		"no exchange":            {map[string]string{"wakeUp": "tap"}, allowed, "exchange: required with wakeUp: tap; the default exchange cannot be tapped"},
		"default exchange":       {map[string]string{"wakeUp": "tap", "exchange": "amq.default"}, allowed, "is the default exchange, which cannot be tapped"},
		"exchange without a tap": {map[string]string{"exchange": "orders"}, allowed, "exchange, routingKeys: only with wakeUp: tap"},
		"keys without a tap":     {map[string]string{"wakeUp": "poll", "routingKeys": "a"}, allowed, "exchange, routingKeys: only with wakeUp: tap"},
		"many keys":              {map[string]string{"wakeUp": "tap", "exchange": "orders", "routingKeys": "1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h"}, allowed, "routingKeys: 17 keys, want at most 16"},
		"a long key":             {map[string]string{"wakeUp": "tap", "exchange": "orders", "routingKeys": strings.Repeat("k", 256)}, allowed, "want keys of at most 255 bytes"},
		"a long exchange":        {map[string]string{"wakeUp": "tap", "exchange": strings.Repeat("x", 256)}, allowed, "want at most 255"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layout := Engine().Layouts[0]
			q := backlog.Query{Layout: layoutQueue, Queue: "invoices", Params: backlog.NewParams(c.params)}
			err := layout.Check(q)
			if err == nil {
				err = layout.CheckOn(c.settings, q)
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	unmanaged := backlog.NewSettings(map[string]any{"addresses": []string{"rabbitmq:5672"}, "username": "u", "password": backlog.NewSecret("p"), settingAllowTap: true})
	if err := Engine().Check(unmanaged); err == nil || !strings.Contains(err.Error(), "allowTap: needs a managementURL") {
		t.Errorf("taps without a management API: %v", err)
	}
}
