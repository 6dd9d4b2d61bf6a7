package celery_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestCeleryTaken: to which queue an unacknowledged message belongs, as kombu keeps it.
func TestCeleryTaken(t *testing.T) {
	t.Parallel()
	exact := func(n int64) layouttest.Figures { return layouttest.Figures{InFlight: backlog.Exactly(n)} }
	for name, row := range map[string]struct {
		bindings map[string][]string // by exchange, as "key queue"
		messages [][2]string         // exchange and routing key
		broken   int                 // messages that cannot be read
		want     layouttest.Figures
	}{
		"default exchange":          {messages: [][2]string{{"", "mail"}, {"", "mail"}, {"", "other"}}, want: exact(2)},
		"direct exchange":           {bindings: map[string][]string{"x": {"letter mail", "letter other", "parcel other"}}, messages: [][2]string{{"x", "letter"}, {"x", "parcel"}}, want: exact(1)},
		"one word":                  {bindings: map[string][]string{"x": {"mail.*.new mail"}}, messages: [][2]string{{"x", "mail.eu.new"}, {"x", "mail.new"}, {"x", "mail.eu.north.new"}, {"x", "mail.eu.old"}}, want: exact(1)},
		"any words":                 {bindings: map[string][]string{"x": {"mail.# mail"}}, messages: [][2]string{{"x", "mail"}, {"x", "mail.eu"}, {"x", "mail.eu.new"}, {"x", "mails"}}, want: exact(3)},
		"any words in the middle":   {bindings: map[string][]string{"x": {"mail.#.new.#.x mail"}}, messages: [][2]string{{"x", "mail.new.x"}, {"x", "mail.a.new.new.b.x"}, {"x", "mail.a.x"}}, want: exact(2)},
		"another exchange":          {bindings: map[string][]string{"x": {"letter mail"}, "y": {"letter other"}}, messages: [][2]string{{"y", "letter"}}, want: exact(0)},
		"what cannot be read":       {messages: [][2]string{{"", "other"}}, broken: 2, want: layouttest.Figures{InFlight: backlog.Exactly(2), Quality: backlog.UpperBound}},
		"an exchange without queue": {messages: [][2]string{{"x", "letter"}}, want: exact(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			source := layouttest.OpenServer(t, server, nil)
			for exchange, rows := range row.bindings {
				for _, binding := range rows {
					var key, queue string
					if _, err := fmt.Sscan(binding, &key, &queue); err != nil {
						t.Fatal(err)
					}
					server.Do("SADD", "_kombu.binding."+exchange, key+"\x06\x16\x06\x16"+queue)
				}
			}
			for i, m := range row.messages {
				server.Do("HSET", "unacked", i, fmt.Sprintf(`[{"body": "secret"}, %q, %q]`, m[0], m[1]))
			}
			for i := range row.broken {
				server.Do("HSET", "unacked", fmt.Sprintf("broken %d", i), "secret")
			}
			r := backlogtest.MustRead(t, source, layouttest.Query("celery", "mail"))
			if diff := cmp.Diff(row.want, layouttest.FiguresOf(r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCeleryTakenByMany: of more messages than are looked at, some of this queue or none.
func TestCeleryTakenByMany(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	add := func(queue string, n int) {
		pipe := server.Client().Pipeline()
		for i := range n {
			pipe.HSet(t.Context(), "unacked", fmt.Sprintf("%s %d", queue, i), fmt.Sprintf(`[{}, "", %q]`, queue))
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read := func() backlog.Reading { return backlogtest.MustRead(t, source, layouttest.Query("celery", "mail")) }
	add("mail", 1000)
	if r := read(); r.InFlight != backlog.Exactly(1000) || r.Quality != backlog.Exact {
		t.Errorf("1000 messages read as %+v", r)
	}
	add("mail", 1500)
	if r := read(); r.InFlight != backlog.Exactly(1000) || r.Quality != backlog.LowerBound {
		t.Errorf("1500 messages read as %+v", r)
	}
	server.Do("DEL", "unacked")
	add("other", 1500)
	if r := read(); r.InFlight != backlog.Exactly(1) || r.Quality != backlog.LowerBound {
		t.Errorf("1500 messages of another queue read as %+v", r)
	}
}

// TestCeleryKeys: priorities beyond kombu's own steps, and an application with another
// prefix or separator.
func TestCeleryKeys(t *testing.T) {
	t.Parallel()
	waiting := func(n int64) layouttest.Figures { return layouttest.Figures{Ready: n, InFlight: backlog.Exactly(0)} }
	bound := func(key, queue string) string {
		return "SADD " + key + " " + queue + `\x06\x16\x06\x16` + queue
	}
	layouttest.ReadKeys(t, layouttest.Query("celery", "mail"), map[string]layouttest.KeysCase{
		"each priority from 0 to 9": {
			Keys: []string{"LPUSH mail a", `LPUSH mail\x06\x161 a`, `LPUSH mail\x06\x162 a`, `LPUSH mail\x06\x165 a`, `LPUSH mail\x06\x168 a`, `LPUSH mail\x06\x169 a`}, Want: waiting(6),
		},
		"priorities above 9": {
			Keys: []string{`LPUSH mail\x06\x164 a`, `LPUSH mail\x06\x1612 a`}, Query: layouttest.Query("celery", "mail", "prioritySteps", "0, 4, 12"), Want: waiting(2),
		},
		"the index may not be read": {
			Keys: []string{`HSET unacked a [{},"","mail"]`}, Rules: "%R~mail* %R~unacked %R~_kombu* " + redis.ACLRules + " " + redis.ACLFrameworkRules + " " + redis.ACLMessageRules,
			Want: layouttest.Figures{InFlight: backlog.Exactly(1)},
		},
		"another prefix": {
			Keys: []string{bound("shop:_kombu.binding.mail", "mail"), "LPUSH shop:mail a"}, Missing: true, Want: waiting(0),
			Warning: []string{"Celery knows no queue"}, Hint: []string{`globalKeyPrefix "shop:"`},
		},
		"no prefix in the application": {
			Keys: []string{bound("_kombu.binding.mail", "mail"), "LPUSH mail a"}, Query: layouttest.Query("celery", "mail", "globalKeyPrefix", "shop:"), Missing: true, Want: waiting(0),
			Warning: []string{"Celery knows no queue"}, Hint: []string{`globalKeyPrefix ""`},
		},
		"another prefix, and the default exchange": {
			Keys: []string{bound("shop:_kombu.binding.celery", "mail")}, Missing: true, Want: waiting(0),
			Warning: []string{"Celery knows no queue"}, Hint: []string{`the framework is at work with the globalKeyPrefix "shop:"`},
		},
		"two separators": {
			Keys: []string{"SADD _kombu.binding.mail mail::mail", bound("_kombu.binding.mail", "mail")}, Want: waiting(0),
		},
	})
}

// TestCelerySeparator: a queue that is bound with another separator is not what the
// trigger says, because tasks with a priority would be overlooked.
func TestCelerySeparator(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		own, other, queue string
	}{
		"not the default": {own: "\x06\x16", other: ":", queue: "mail"},
		"the default":     {own: ":", other: "\x06\x16", queue: "mail"},
		"longer":          {own: "-", other: "--:", queue: "mail"},
		"of a pattern":    {own: "\x06\x16", other: ":", queue: "ma*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			// Where a pattern finds it too.
			server.Do("SADD", "_kombu.binding.celery", "mail"+row.other+row.other+"mail")
			server.Do("LPUSH", "mail"+row.other+"3", "a")
			r := backlogtest.Read(t, layouttest.OpenServer(t, server, nil), layouttest.Query("celery", row.queue, "separator", row.own))[0]
			if !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), fmt.Sprintf("%q", row.other)) {
				t.Errorf("it reads as %+v", r)
			}
		})
	}
}
