package jetstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// registered returns subscriptions to subjects, confirmed settle ago, and what was woken.
func registered(q backlog.Query, subjects ...string) (s *subscriptions, woken *int) {
	woken = new(int)
	s = newSubscriptions(newAlarms(func(queries []backlog.Query) {
		if slices.Contains(queries, q) {
			*woken++
		}
	}))
	for _, subject := range subjects {
		one := &subscription{subject: subject, sub: new(nats.Subscription), queries: map[backlog.Query]struct{}{q: {}}}
		s.register(one)
	}
	s.confirm(time.Now())
	return s, woken
}

// TestArmed: a query is armed once all its subscriptions have settled, and until one of them had a message
// or was refused.
func TestArmed(t *testing.T) {
	t.Parallel()
	q := backlog.Query{Queue: "a"}
	subjects := []string{"a.new", "a.paid"}
	synctest.Test(t, func(t *testing.T) {
		s, woken := registered(q, subjects...)
		want := func(when string, want bool, q backlog.Query, subjects ...string) {
			t.Helper()
			if got := s.armed(q, subjects, time.Now()); got != want {
				t.Errorf("%s: armed is %t", when, got)
			}
		}
		want("before they settled", false, q, subjects...)
		time.Sleep(settle)
		want("settled", true, q, subjects...)
		want("another query", false, backlog.Query{Queue: "b"}, subjects...)
		want("another subject", false, q, "a.new", "a.other")
		want("no subject", false, q)
		s.refuse("a.other")
		want("another one was refused", true, q, subjects...)
		s.fire(s.bySubject["a.paid"].sub)
		want("one had its message", false, q, subjects...)
		if *woken != 1 {
			t.Errorf("a message has woken %d times", *woken)
		}
		if missing, reason := s.missing(q, subjects, time.Now()); missing != nil || reason != "" {
			t.Errorf("right after a message %v are subscribed to (%s)", missing, reason)
		}
		time.Sleep(storing)
		if missing, _ := s.missing(q, subjects, time.Now()); !slices.Equal(missing, []string{"a.paid"}) {
			t.Errorf("later %v are subscribed to", missing)
		}
		s.refuse("a.new")
		want("one was refused", false, q, "a.new")
		if _, reason := s.missing(q, subjects, time.Now()); !strings.Contains(reason, `no right to subscribe to "a.new"`) {
			t.Errorf("the reason is %q", reason)
		}
		time.Sleep(deniedRetry)
		if missing, reason := s.missing(q, subjects, time.Now()); len(missing) != 2 || reason != "" {
			t.Errorf("much later %v are subscribed to (%s)", missing, reason)
		}
	})
}

// TestRepeats: a queue is woken again shortly after a message, because the message may not be stored yet.
func TestRepeats(t *testing.T) {
	t.Parallel()
	q := backlog.Query{Queue: "a"}
	synctest.Test(t, func(t *testing.T) {
		s, woken := registered(q, "a.new")
		s.fire(s.bySubject["a.new"].sub)
		for i := range repeats() {
			next := s.alarms.ring(time.Now())
			if next > time.Second {
				t.Fatalf("after %d wake-ups the next one is in %s", i+1, next)
			}
			time.Sleep(next)
		}
		if next := s.alarms.ring(time.Now()); next < time.Minute || *woken != 1+len(repeats()) {
			t.Errorf("there were %d wake-ups, and the next one is in %s", *woken, next)
		}
	})
}

// TestEarlyMessage: a message that comes before its subscription is registered is not lost: the queue is
// not armed.
func TestEarlyMessage(t *testing.T) {
	t.Parallel()
	q := backlog.Query{Queue: "a"}
	s, _ := registered(q)
	one := &subscription{subject: "a.new", sub: new(nats.Subscription), queries: map[backlog.Query]struct{}{q: {}}}
	s.fire(one.sub)
	s.register(one)
	s.confirm(time.Now().Add(-time.Hour))
	if s.armed(q, []string{"a.new"}, time.Now()) {
		t.Error("a subscription that had its message is armed")
	}
}

// TestSubscriptionsAreBounded: beyond the limit of a connection, and where the server allows no more,
// queues are polled and say why. Those that are subscribed stay.
func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	q := backlog.Query{Queue: "a"}
	var subjects []string
	for i := range maxSubscriptions {
		subjects = append(subjects, fmt.Sprintf("a.%d", i))
	}
	s, _ := registered(q, subjects...)
	if _, reason := s.missing(q, []string{"a.new"}, time.Now()); !strings.Contains(reason, "20000 subscriptions") {
		t.Errorf("the reason is %q", reason)
	}
	if missing, reason := s.missing(q, []string{"a.1"}, time.Now()); len(missing) != 0 || reason != "" {
		t.Errorf("for a subject that is subscribed to %v are missing (%s)", missing, reason)
	}
	s.forget(q)
	if len(s.bySubject) != 0 || len(s.bySub) != 0 {
		t.Errorf("%d subscriptions are left", len(s.bySubject))
	}
	s.refuseAll("the server allows no more subscriptions")
	if _, reason := s.missing(q, []string{"a.new"}, time.Now()); !strings.Contains(reason, "no more") {
		t.Errorf("the reason is %q", reason)
	}
	info := new(streamInfo)
	info.Config.Subjects = subjects[:maxSubjects+1]
	if _, reason := wakeSubjects(&config{inbox: inboxPrefix}, info, nil); !strings.Contains(reason, "more than 32 subjects") {
		t.Errorf("a stream of many subjects is polled because %q", reason)
	}
}

// TestWakeSubjects: which subscriptions notice the messages of a queue.
func TestWakeSubjects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream, filters, want []string
		reason                string
	}{
		"the stream":               {stream: []string{"a.*"}, want: []string{"a.*"}},
		"a filter":                 {stream: []string{"a.*"}, filters: []string{"a.new"}, want: []string{"a.new"}},
		"a filter of all":          {stream: []string{"a.*"}, filters: []string{">"}, want: []string{"a.*"}},
		"a wild filter":            {stream: []string{"a.*"}, filters: []string{"*.new"}, want: []string{"a.*"}},
		"key and value":            {stream: []string{"$KV.settings.>"}, want: []string{"$KV.settings.>"}},
		"everything":               {stream: []string{">"}, reason: "cover those of the API"},
		"the API":                  {stream: []string{"$JS.EVENT.>"}, reason: "cover those of the API"},
		"the system":               {stream: []string{"$SYS.>"}, reason: "cover those of the API"},
		"inboxes":                  {stream: []string{"_INBOX.>"}, reason: "cover those of the API"},
		"no subjects":              {reason: "no subjects"},
		"subjects that make sense": {stream: []string{"a b"}, reason: "make no sense"},
	} {
		info := new(streamInfo)
		info.Config.Subjects = c.stream
		got, reason := wakeSubjects(&config{inbox: inboxPrefix}, info, c.filters)
		if !slices.Equal(got, c.want) || !strings.Contains(reason, c.reason) || (reason == "") != (c.reason == "") {
			t.Errorf("%s: %v (%s), want %v (%s)", name, got, reason, c.want, c.reason)
		}
	}
}
