package redis

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/keyscan"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// TestAnyReply: whatever a server answers to whatever command, no layout panics, none
// asks without end, and what becomes a reading has counts that can be added up.
func TestAnyReply(t *testing.T) {
	t.Parallel()
	for _, l := range layouts() {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			var read, refused int
			rapid.Check(t, func(t *rapid.T) {
				ok, failed := readAnything(t, l)
				read, refused = read+ok, refused+failed
			})
			if read == 0 || refused == 0 {
				t.Errorf("%d readings and %d errors: the replies do not fit what is asked", read, refused)
			}
		})
	}
}

// FuzzAnyReply does the same for as long as it is let.
func FuzzAnyReply(f *testing.F) {
	all := layouts()
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { _, _ = readAnything(t, rapid.SampledFrom(all).Draw(t, "layout")) }))
}

// readAnything reads a queue, or several, three times from a server that answers anything:
// what a reader remembers of one reading must not break the next.
func readAnything(t *rapid.T, l layout.Layout) (read, refused int) {
	keys := &anyKeys{t: t, found: make(map[layout.Search][]string)}
	prepare := l.Prepare
	l.Prepare = func(q backlog.Query, search layout.KeySearch) layout.Reader { return again{t, prepare(q, search)} }
	if workers := l.Workers; workers != nil {
		l.Workers = func(q backlog.Query) layout.Reader { return again{t, workers(q)} }
	}
	s := &source{layouts: map[string]layout.Layout{l.Name: l}, keys: keys, quota: quota.New()}
	q := drawQuery(t, l)
	first, err := s.prepareQuery(q)
	if err != nil {
		t.Skip(err)
	}
	now := time.Unix(1_700_000_000, 0)
	for range 3 {
		now = now.Add(time.Second)
		keys.end()
		if readOnce(t, first, now) {
			read++
		} else {
			refused++
		}
	}
	return read, refused
}

// again is a reader that runs twice each time, as the engine may, and finds out whether that
// makes a difference.
type again struct {
	t *rapid.T
	layout.Reader
}

// Read implements layout.Reader.
func (r again) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	first := *trips
	want, wantErr := r.Reader.Read(&first)
	got, err := r.Reader.Read(trips)
	if diff := gocmp.Diff(want, got); diff != "" || fmt.Sprint(wantErr) != fmt.Sprint(err) {
		r.t.Errorf("run again, it returns the error %v instead of %v, and: %s", err, wantErr, diff)
	}
	if asked, again := first.Unanswered(), trips.Unanswered(); !slices.EqualFunc(asked, again, resp.Command.SameAs) {
		r.t.Errorf("run again, it asks %v instead of %v", again, asked)
	}
	return got, err
}

// readOnce reports whether there was a reading.
func readOnce(t *rapid.T, next step, now time.Time) bool {
	for range maxRoundTrips {
		if k, changes := next.(keyChanger); changes {
			k.begin(now)
		}
		commands := next.Commands(nil, now)
		fitting := rapid.Bool().Draw(t, "fitting")
		replies := make([]resp.Reply, len(commands))
		for i, c := range commands {
			replies[i] = drawAnswer(t, c, fitting)
		}
		var o outcome
		next.Conclude(replies, now, &o)
		switch {
		case o.next != nil:
			next = o.next
			continue
		case o.err == nil:
			checkReading(t, o.reading)
		}
		return o.err == nil
	}
	t.Fatalf("%T wants more than %d round trips", next, maxRoundTrips)
	return false
}

// anyKeys is a keyFinder whose searches find anything, from the read on that follows the one
// in which they are asked for.
type anyKeys struct {
	t *rapid.T
	// found are the keys of each search that was asked for; nil until it has ended.
	found map[layout.Search][]string
}

// end ends the searches that were asked for.
func (k *anyKeys) end() {
	searches := slices.SortedFunc(maps.Keys(k.found), func(a, b layout.Search) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Pattern, b.Pattern))
	})
	for _, s := range searches {
		if k.found[s] == nil {
			k.found[s] = []string{strings.ReplaceAll(s.Pattern, "*", "q"), drawText(k.t)}
		}
	}
}

func (k *anyKeys) Find(s layout.Search, _ backlog.Query, _ time.Time) keyscan.Result {
	k.Begin(s)
	if k.found[s] == nil {
		return keyscan.Result{}
	}
	return keyscan.Result{Complete: true, Revision: 1, Keys: k.found[s]}
}

// Begin notes that a search was asked for.
func (k *anyKeys) Begin(s layout.Search) {
	if _, asked := k.found[s]; !asked {
		k.found[s] = nil
	}
}

func (k *anyKeys) For(q backlog.Query) layout.KeySearch { return anyKeySearch{k, q} }

// An anyKeySearch is the searches of one query.
type anyKeySearch struct {
	keys  *anyKeys
	query backlog.Query
}

func (k anyKeySearch) Begin(s layout.Search) { k.keys.Begin(s) }

func (k anyKeySearch) Find(s layout.Search, now time.Time) layout.Found {
	r := k.keys.Find(s, k.query, now)
	return layout.Found{Keys: r.Keys, Revision: r.Revision, Problem: r.Problem(now)}
}

func (k anyKeySearch) Hint(s layout.Search, now time.Time) layout.Found { return k.Find(s, now) }

func (k anyKeySearch) SearchSince(layout.Search, time.Time) {}

func checkReading(t *rapid.T, r backlog.Reading) {
	for name, n := range map[string]int64{
		"ready": r.Ready, "due": r.Due, "in flight": r.InFlight.N, "backlog": r.Backlog(), "useful": r.MaxUseful,
		"enqueued": r.Enqueued.N, "dequeued": r.Dequeued.N, "consumers": r.Consumers.N, "orphaned": r.Orphaned, "ignored": r.Ignored,
	} {
		if n < 0 {
			t.Errorf("%s is %d", name, n)
		}
	}
	for _, part := range r.Parts {
		checkReading(t, part.Reading)
	}
}

// drawQuery draws a queue, several, or a pattern, with parameters.
func drawQuery(t *rapid.T, l layout.Layout) backlog.Query {
	queues := []string{"q"}
	if l.Patterns != "" {
		queues = append(queues, "q, r", "q*", "q*, r")
	}
	params := make(map[string]string)
	for _, p := range l.Parameters {
		params[p.Name] = p.Default
		if !rapid.Bool().Draw(t, p.Name) {
			continue
		}
		switch p.Kind {
		case backlog.KindBool:
			params[p.Name] = "true"
		case backlog.KindChoice:
			params[p.Name] = rapid.SampledFrom(p.Allowed).Draw(t, p.Name)
		case backlog.KindDuration:
			params[p.Name] = "1m"
		case backlog.KindInteger, backlog.KindNumber:
			params[p.Name] = strconv.FormatInt(p.Max, 10)
		case backlog.KindText, backlog.KindList:
			params[p.Name] = "x"
		case backlog.KindSecret, backlog.KindFile, backlog.KindAddresses:
			t.Fatalf("%s is for connections", p.Name)
		}
	}
	q := backlog.Query{Layout: l.Name, Queue: rapid.SampledFrom(queues).Draw(t, "queue"), Params: backlog.NewParams(params)}
	if l.Check != nil {
		if err := l.Check(q); err != nil {
			t.Skip(err)
		}
	}
	q.Workers = l.KnowsWorkers(q) == nil && rapid.Bool().Draw(t, "workers")
	return q
}

// drawAnswer draws a reply to a command: most often one that fits the command, so that
// what comes after its first check is reached too.
func drawAnswer(t *rapid.T, c resp.Command, fitting bool) resp.Reply {
	server := rapid.SampledFrom([]*resp.Server{{}, {Name: "redis", Version: "6.0.9"}, {Name: "valkey", Version: "8.0.0"}}).Draw(t, "server")
	what := rapid.IntRange(0, 19).Draw(t, "what")
	switch {
	case fitting || what > 2:
		return resp.Reply{Value: drawFitting(t, c), Server: server}
	case what == 0:
		return resp.Reply{Err: resp.ErrNil, Server: server}
	case what == 1:
		text := rapid.SampledFrom([]string{"ERR unknown command", "NOPERM no", "NOSCRIPT", "ERR syntax error", ""}).Draw(t, "error")
		return resp.Reply{Err: serverError(text), Server: server}
	default:
		return resp.Reply{Value: drawValue(t, 0), Server: server}
	}
}

// A serverError is what a server answered.
type serverError string

func (e serverError) Error() string { return string(e) }

func (serverError) RedisError() {}

// drawFitting draws a value of the kind that the command is answered with, with any
// content.
func drawFitting(t *rapid.T, c resp.Command) any {
	small := rapid.Int64Range(0, 3)
	switch c.Args[0] {
	case "EXISTS", "SISMEMBER", "HEXISTS":
		return rapid.Int64Range(0, 1).Draw(t, "exists")
	case "LLEN", "ZCARD", "SCARD", "HLEN", "XLEN", "ZCOUNT":
		return rapid.OneOf(small, small, rapid.Just[int64](resp.MaxCount)).Draw(t, "count")
	case "GET", "HGET", "LINDEX", "ZSCORE":
		return rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.Just(0), func(int) any { return drawText(t) })).Draw(t, "value")
	case "TIME":
		return []any{"1700000000", "5"}
	case "TYPE":
		return "list"
	case "SMEMBERS", "SRANDMEMBER", "HRANDFIELD", "LRANGE", "HKEYS", "HVALS":
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "members"))
		for i := range list {
			list[i] = drawText(t)
		}
		return list
	case "HMGET":
		values := make([]any, len(c.Args)-2)
		for i := range values {
			switch rapid.IntRange(0, 9).Draw(t, "value") {
			case 0:
				values[i] = drawText(t)
			case 1, 2:
				values[i] = "1"
			}
		}
		return values
	case "HGETALL", "ZRANGE", "ZRANGEBYSCORE":
		scores := rapid.SampledFrom([]string{"0", "5", "1700000000", "1700000000000", "4294967296000000000", "1e300", "inf"})
		list := make([]any, 0, 6)
		// Most often one member was asked for.
		for range rapid.SampledFrom([]int{0, 0, 0, 0, 1, 1, 1, 1, 1, 3}).Draw(t, "members") {
			list = append(list, drawText(t))
			if c.Args[0] == "HGETALL" || slices.Contains(c.Args, any("WITHSCORES")) {
				list = append(list, scores.Draw(t, "score"))
			}
		}
		return list
	default:
		return drawValue(t, 0)
	}
}

func drawValue(t *rapid.T, depth int) any {
	kinds := 4
	if depth < 4 {
		kinds = 8
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1, 2:
		return rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 3), rapid.Just[int64](resp.MaxCount)).Draw(t, "number")
	case 3:
		return drawText(t)
	default:
		list := make([]any, rapid.IntRange(0, 4).Draw(t, "elements"))
		for i := range list {
			list[i] = drawValue(t, depth+1)
		}
		return list
	}
}

// drawText draws a text in a form that some framework parses.
func drawText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{
			"q", "", "0", "1", "5", "-1", "NaN", "1e400", "9223372036854775807", "-9223372036854775808", "1700000000", "1700000000000-0", "0-0",
			`{"queue":"q"}`, `{"queue":1,"run_at":"x"}`, `[null]`, `{`, `{"started_at":1e999}`, `{"headers":{"x":[]}}`, "h:1:q", "h:1:q,r", ":::", "\xff\xfe",
			"name", "pending", "consumers", "entries-read", "lag", "last-delivered-id", "groups", "length", "dynamic:q", "{q}",
		}),
	).Draw(t, "text")
}
