package jetstream_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

// TestFakeIsReal: what the fake answers reads as what it means, so that the changes below are the cause of
// what the other tests see.
func TestFakeIsReal(t *testing.T) {
	t.Parallel()
	r := backlogtest.MustRead(t, newFake(t).open(t, nil), query("jobs"))
	if r.Ready != 7 || r.InFlight != backlog.Exactly(2) || r.Quality != backlog.Exact || r.MaxUseful != 100 {
		t.Errorf("the fake reads as %+v", r)
	}
}

// TestUntrustedAnswers: no answer that makes no sense, or that leaves something out, is a number.
func TestUntrustedAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream, consumer string
		want             error
	}{
		"no pending":            {"", `,"num_pending":7=>`, backlog.ErrMismatch},
		"no ack pending":        {"", `"num_ack_pending":2,=>`, backlog.ErrMismatch},
		"null pending":          {"", `"num_pending":7=>"num_pending":null`, backlog.ErrMismatch},
		"negative pending":      {"", `"num_pending":7=>"num_pending":-7`, backlog.ErrMismatch},
		"negative in flight":    {"", `"num_ack_pending":2=>"num_ack_pending":-1`, backlog.ErrMismatch},
		"huge pending":          {"", fmt.Sprintf(`"num_pending":7=>"num_pending":%d`, uint64(math.MaxUint64)), backlog.ErrMismatch},
		"large pending":         {"", fmt.Sprintf(`"num_pending":7=>"num_pending":%d`, math.MaxInt64), backlog.ErrMismatch},
		"fractional pending":    {"", `"num_pending":7=>"num_pending":0.5`, backlog.ErrMismatch},
		"text pending":          {"", `"num_pending":7=>"num_pending":"7"`, backlog.ErrMismatch},
		"no delivered":          {"", `"delivered":{"consumer_seq":3,"stream_seq":3},=>`, backlog.ErrMismatch},
		"no messages":           {`"messages":10,=>`, "", backlog.ErrMismatch},
		"negative messages":     {`"messages":10=>"messages":-1`, "", backlog.ErrMismatch},
		"wrong time":            {`"created":"2026=>"created":"x`, "", backlog.ErrMismatch},
		"another type":          {"", `consumer_info_response=>stream_info_response`, backlog.ErrMismatch},
		"another stream":        {`"name":"jobs"=>"name":"other"`, "", backlog.ErrMismatch},
		"another consumer":      {"", `"name":"worker"=>"name":"other"`, backlog.ErrMismatch},
		"consumer of another":   {"", `"stream_name":"jobs"=>"stream_name":"other"`, backlog.ErrMismatch},
		"no leader":             {"", `"leader":"n1"=>"leader":""`, backlog.ErrUnavailable},
		"stream without leader": {`"leader":"n1"=>"name":"c"`, "", backlog.ErrUnavailable},
		"answer of a replica":   {"", `"leader":"n1"=>"leader":"n1","replicas":[{"name":"n2"},{"name":"n1"}]`, backlog.ErrUnavailable},
		"stream of a replica":   {`"leader":"n1"=>"leader":"n1","replicas":[{"name":"n1"}]`, "", backlog.ErrUnavailable},
		"replicas, no cluster":  {"", `"ack_policy"=>"num_replicas":3,"ack_policy"` + "\n" + `,"cluster":{"leader":"n1"}=>`, backlog.ErrUnavailable},
		"no json":               {"", `{"type"=>x`, backlog.ErrMismatch},
		"truncated json":        {"", `}}=>`, backlog.ErrMismatch},
		"array":                 {"", `{"type"=>[{"type"`, backlog.ErrMismatch},
		"empty object":          {"", consumerAnswer("") + "=>{}", backlog.ErrMismatch},
		"stream offline":        {streamAnswer("") + `=>{"type":"x","error":{"code":500,"err_code":10118,"description":"stream is offline"}}`, "", backlog.ErrUnavailable},
		"consumer offline":      {"", consumerAnswer("") + `=>{"type":"x","error":{"code":500,"err_code":10119,"description":"consumer is offline"}}`, backlog.ErrUnavailable},
		"not available":         {"", consumerAnswer("") + `=>{"type":"x","error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}`, backlog.ErrUnavailable},
		"bad request":           {"", consumerAnswer("") + `=>{"type":"x","error":{"code":400,"err_code":10003,"description":"bad request"}}`, backlog.ErrMismatch},
		"account without":       {"", consumerAnswer("") + `=>{"type":"x","error":{"code":503,"err_code":10039,"description":"not enabled for account"}}`, backlog.ErrUnavailable},
		"server without":        {"", consumerAnswer("") + `=>{"type":"x","error":{"code":503,"err_code":10076,"description":"not enabled"}}`, backlog.ErrUnavailable},
		"unknown error":         {"", consumerAnswer("") + `=>{"type":"x","error":{"code":404,"err_code":1,"description":"\u001b[31m password=hunter2"}}`, backlog.ErrUnavailable},
		"stream of one answer":  {"", consumerAnswer("") + `=>{"type":"x","error":{"code":404,"err_code":10059,"description":"stream not found"}}`, backlog.ErrPartial},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.answer = func(subject string, _ []byte) string {
				if strings.Contains(subject, "CONSUMER.INFO") {
					return consumerAnswer(c.consumer)
				}
				return streamAnswer(c.stream)
			}
			r := backlogtest.ReadOnce(t, f.open(t, nil), query("jobs"))[0]
			if !errors.Is(r.Err, c.want) || r.Reading.Backlog() != 0 || r.Armed {
				t.Errorf("reads as %+v, want %v", r, c.want)
			}
			if r.Err != nil && (strings.Contains(r.Err.Error(), "hunter2") || strings.ContainsRune(r.Err.Error(), 0x1b)) {
				t.Errorf("the error repeats what it must not: %q", r.Err)
			}
		})
	}
}

// TestWrongCounts: more pending messages than the stream has are no more than it has by a later answer, as
// an upper bound.
func TestWrongCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		later   string
		want    int64
		quality backlog.Quality
	}{
		"a wrong count":       {"", 10, backlog.UpperBound},
		"a wrong count of 0":  {`"messages":10=>"messages":0`, 0, backlog.UpperBound},
		"published meanwhile": {`"messages":10=>"messages":12`, 12, backlog.Exact},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			asked := 0
			f.answer = func(subject string, _ []byte) string {
				if strings.Contains(subject, "CONSUMER.INFO") {
					return consumerAnswer(`"num_pending":7=>"num_pending":12`)
				}
				asked++
				if asked == 1 {
					return streamAnswer("")
				}
				return streamAnswer(c.later)
			}
			if r := backlogtest.MustRead(t, f.open(t, nil), query("jobs")); r.Ready != c.want || r.Quality != c.quality || r.InFlight.N != 2 {
				t.Errorf("reads as %+v, want %d", r, c.want)
			}
		})
	}
}

// TestUncountedMessages: a server that says that nothing is pending may not have counted the latest
// messages. That is believed where all messages were delivered, and elsewhere only when it was said again.
func TestUncountedMessages(t *testing.T) {
	t.Parallel()
	const idle = `"num_ack_pending":2,"num_pending":7=>"num_ack_pending":0,"num_pending":0`
	for name, c := range map[string]struct {
		stream, consumer string
		// atOnce reports whether the first answer is believed, and later is the next one.
		atOnce bool
		later  string
		want   int64
	}{
		"all were delivered":        {consumer: `"stream_seq":3=>"stream_seq":10`, atOnce: true},
		"the stream is empty":       {stream: `"messages":10=>"messages":0`, atOnce: true},
		"counted late":              {later: "\n" + `"num_pending":0=>"num_pending":7`, want: 7},
		"taken meanwhile":           {later: "\n" + `"num_ack_pending":0=>"num_ack_pending":7`, want: 7},
		"deleted messages":          {},
		"a filter, all delivered":   {consumer: `"stream_seq":3=>"stream_seq":10` + "\n" + `"max_ack=>"filter_subject":"jobs.a","max_ack`},
		"a filter, none delivered":  {consumer: `"max_ack=>"filter_subject":"jobs.a","max_ack`},
		"a filter, counted late":    {consumer: `"max_ack=>"filter_subject":"jobs.a","max_ack`, later: "\n" + `"num_pending":0=>"num_pending":2`, want: 2},
		"a filter of all, finished": {consumer: `"stream_seq":3=>"stream_seq":10` + "\n" + `"max_ack=>"filter_subject":"jobs.*","max_ack`, atOnce: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			later := ""
			f.answer = func(subject string, _ []byte) string {
				if strings.Contains(subject, "CONSUMER.INFO") {
					return consumerAnswer(idle + "\n" + c.consumer + later)
				}
				return streamAnswer(c.stream)
			}
			source := f.open(t, nil)
			wakeups := backlogtest.Listen(t, source)
			r := backlogtest.ReadOnce(t, source, query("jobs"))[0]
			if c.atOnce {
				if r.Err != nil || r.Pending || r.Reading.Backlog() != 0 || r.Reading.Missing {
					t.Errorf("reads as %+v, want 0", r)
				}
				return
			}
			if !r.Pending || !errors.Is(r.Err, backlog.ErrPartial) || r.Armed {
				t.Fatalf("the first answer reads as %+v", r)
			}
			f.set(func() { later = c.later })
			wakeups.Await(t, query("jobs"))
			if r := backlogtest.Read(t, source, query("jobs"))[0]; r.Err != nil || r.Reading.Backlog() != c.want {
				t.Errorf("the next answer reads as %+v, want %d", r, c.want)
			}
		})
	}
}

// TestManySubjects: where the subjects that match a filter are too many to be listed, all messages count.
func TestManySubjects(t *testing.T) {
	t.Parallel()
	for name, subjects := range map[string]string{
		"more than are listed": `"subjects":{"jobs.a":1}},"total":100001`,
		"negative":             `"subjects":{"jobs.a":-1}},"total":1`,
		"more than there are":  `"subjects":{"jobs.a":5000}},"total":1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.answer = func(subject string, body []byte) string {
				switch {
				case strings.Contains(subject, "CONSUMER.INFO"):
					return `{"type":"x","error":{"code":404,"err_code":10014,"description":"consumer not found"}}`
				case len(body) > 0:
					return streamAnswer(`"first_ts":"2026-01-02T03:04:05Z"}=>"first_ts":"2026-01-02T03:04:05Z",` + subjects)
				default:
					return streamAnswer("")
				}
			}
			if r := backlogtest.MustRead(t, f.open(t, nil), query("jobs", "filter", "jobs.*")); r.Ready != 10 || r.Quality != backlog.UpperBound || r.Warning == "" {
				t.Errorf("reads as %+v, want 10", r)
			}
		})
	}
}

// TestHostileFrames: whatever a server sends in place of a message is an error, within the bound of the
// read, costs no memory and harms no later read.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 9<<20)
	for name, raw := range map[string]func(reply, sid, payload string) string{
		"a payload of 8 EiB": func(reply, sid, _ string) string {
			return fmt.Sprintf("MSG %s %s %d\r\n", reply, sid, int64(math.MaxInt64))
		},
		"a payload of 1 TiB that never comes": func(reply, sid, _ string) string {
			return fmt.Sprintf("MSG %s %s %d\r\nabc", reply, sid, int64(1)<<40)
		},
		"a payload beyond the bound": func(reply, sid, _ string) string {
			return fmt.Sprintf("MSG %s %s %d\r\n%s\r\n", reply, sid, len(large), large)
		},
		"a negative size":       func(reply, sid, _ string) string { return fmt.Sprintf("MSG %s %s -1\r\n", reply, sid) },
		"no size":               func(reply, _, _ string) string { return fmt.Sprintf("MSG %s\r\n", reply) },
		"many arguments":        func(reply, sid, _ string) string { return fmt.Sprintf("MSG %s %s a b c 1\r\n", reply, sid) },
		"a header beyond it":    func(reply, sid, _ string) string { return fmt.Sprintf("HMSG %s %s 100 1\r\nx\r\n", reply, sid) },
		"a negative header":     func(reply, sid, _ string) string { return fmt.Sprintf("HMSG %s %s -5 1\r\nx\r\n", reply, sid) },
		"a header that is none": func(reply, sid, _ string) string { return fmt.Sprintf("HMSG %s %s 5 5\r\nabcde\r\n", reply, sid) },
		"a line without end":    func(_, _, _ string) string { return "INFO " + large },
		"another protocol":      func(_, _, _ string) string { return "HTTP/1.1 200 OK\r\n\r\n" },
		"nothing":               func(_, _, _ string) string { return "" },
		"empty":                 func(reply, sid, _ string) string { return fmt.Sprintf("MSG %s %s 0\r\n\r\n", reply, sid) },
		"an answer to another": func(reply, sid, p string) string {
			return fmt.Sprintf("MSG %sx %s %d\r\n%s\r\n", reply, sid, len(p), p)
		},
		"a message of a queue": func(_, sid, _ string) string {
			return strings.Repeat(fmt.Sprintf("MSG elsewhere %s 3\r\nabc\r\n", sid), 20_000)
		},
		"an error": func(_, _, _ string) string { return "-ERR 'Slow Consumer'\r\n" },
		"depth": func(reply, sid, _ string) string {
			p := strings.Repeat("[", 1<<20)
			return fmt.Sprintf("MSG %s %s %d\r\n%s\r\n", reply, sid, len(p), p)
		},
		"no responders": func(reply, sid, _ string) string {
			return fmt.Sprintf("HMSG %s %s 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", reply, sid)
		},
		"a wrong INFO":        func(_, _, _ string) string { return "INFO {\"max_payload\":-1,\"connect_urls\":[5]}\r\n" },
		"a refusal of others": func(_, _, _ string) string { return "-ERR 'Permissions Violation for Publish to \"\"'\r\n" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			source := f.open(t, map[string]any{"answerTimeout": 200 * time.Millisecond})
			f.set(func() { f.raw = raw })
			for range 3 {
				began := time.Now()
				r := backlogtest.ReadOnce(t, source, query("jobs"))[0]
				if r.Err == nil || !errors.Is(r.Err, backlog.ErrUnavailable) && !errors.Is(r.Err, backlog.ErrMismatch) {
					t.Errorf("reads as %+v", r)
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("a read took %s", took)
				}
			}
			f.set(func() { f.raw = nil })
			awaitFake(t, source)
		})
	}
}

// awaitFake waits until the fake is read again.
func awaitFake(t *testing.T, source backlog.Source) {
	t.Helper()
	eventually(t, "the server is read again", func() bool {
		r := backlogtest.ReadOnce(t, source, query("jobs"))[0]
		return r.Err == nil && r.Reading.Ready == 7
	})
}

// TestForeignServers are servers that begin in another way than NATS does.
func TestForeignServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ says, text, change string }{
		"http":        {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP", "4222"},
		"tls alert":   {"\x15\x03\x01\x00\x02\x02\x16", "speaks TLS", "tlsHandshakeFirst"},
		"redis":       {"-ERR unknown command\r\n", "does not speak", "4222"},
		"smtp":        {"220 mail\r\n", "does not speak", "4222"},
		"no json":     {"INFO {\r\n", "does not speak", "4222"},
		"long":        {"INFO " + strings.Repeat("x", 200<<10) + "\r\n", "does not speak", "4222"},
		"large value": {`INFO {"max_payload":1e400}` + "\r\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.set(func() { f.greeting = c.says })
			r := backlogtest.ReadOnce(t, f.open(t, nil), query("jobs"))[0]
			text, change := backlog.Advice(r.Err)
			if !errors.Is(r.Err, backlog.ErrUnavailable) || !strings.Contains(text, c.text) || !strings.Contains(change, c.change) {
				t.Errorf("got %q (change: %q), want %q and %q", text, change, c.text, c.change)
			}
		})
	}
}
