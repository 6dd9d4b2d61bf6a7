package trace_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

func TestRead(t *testing.T) {
	t.Parallel()
	byHand := trace.Header{Unit: "messages", Source: "CSV", Quality: trace.Exact, ServiceQuality: trace.Assumed}
	for _, tc := range []struct {
		name, text string
		want       trace.Trace
	}{
		{"a CSV by hand", "# the morning\ntime,arrivals\n0,10\n1m,600\n2m30s,0\n", trace.Trace{
			Header:   withEnd(byHand, 150*time.Second, time.Minute),
			Arrivals: []trace.Arrival{{Over: time.Minute, Count: 10}, {At: time.Minute, Over: 90 * time.Second, Count: 600}},
		}},
		{"the columns over and service", "time, arrivals, over, service\n0, 100, 0, 0.5\n60, 20, 10s, 2m\n", trace.Trace{
			Header:   withEnd(byHand, 70*time.Second, 0),
			Arrivals: []trace.Arrival{{Count: 100, Work: 500 * time.Millisecond}, {At: time.Minute, Over: 10 * time.Second, Count: 20, Work: 2 * time.Minute}},
		}},
		{"times of a day", "arrivals,time\n5,2026-11-26T12:00:00+01:00\n7,2026-11-26T11:00:10Z\n", trace.Trace{
			Header: func() trace.Header {
				h := withEnd(byHand, 20*time.Second, 10*time.Second)
				h.Start = time.Date(2026, time.November, 26, 11, 0, 0, 0, time.UTC)
				return h
			}(),
			Arrivals: []trace.Arrival{{Over: 10 * time.Second, Count: 5}, {At: 10 * time.Second, Over: 10 * time.Second, Count: 7}},
		}},
		{"JSON lines", `{"format":"backlog-trace/1","end":60,"resolution":1,"arrivals":"lower bound","service":"measured"}
{"t":12,"arrive":10}
{"t":13,"arrive":2,"over":0,"work":0.25}
{"t":13,"service":[0.5,0.6]}
{"t":14,"seen":{"ready":3,"replicas":4,"reported":5.5}}
`, trace.Trace{
			Header:   trace.Header{End: time.Minute, Resolution: time.Second, Quality: trace.LowerBound, ServiceQuality: trace.Measured},
			Arrivals: []trace.Arrival{{At: 12 * time.Second, Over: time.Second, Count: 10}, {At: 13 * time.Second, Count: 2, Work: 250 * time.Millisecond}},
			Service:  []time.Duration{500 * time.Millisecond, 600 * time.Millisecond},
			Seen:     []trace.Seen{{At: 14 * time.Second, Ready: 3, InFlight: -1, Replicas: 4, ReadyReplicas: -1, Value: 5.5}},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := trace.Read(strings.NewReader(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("trace (-want +got):\n%s", diff)
			}
			// What is written is read again as it was, also compressed.
			var b bytes.Buffer
			packed := gzip.NewWriter(&b)
			if err := trace.Write(packed, got); err != nil {
				t.Fatal(err)
			}
			if err := packed.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := trace.Read(&b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("written and read again (-want +got):\n%s", diff)
			}
		})
	}
}

func withEnd(h trace.Header, end, resolution time.Duration) trace.Header {
	h.End, h.Resolution = end, resolution
	return h
}

func TestReadRejects(t *testing.T) {
	t.Parallel()
	const header = `{"format":"backlog-trace/1"}` + "\n"
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "it is empty"},
		{"no arrivals", "time,arrivals\n0,0\n", "no arrivals"},
		{"a column of another name", "time,arrival\n", `column "arrival": want some of time, arrivals, over, service, did you mean "arrivals"?`},
		{"a column twice", "time,time,arrivals\n", `column "time" is there twice`},
		{"no column", "time,over\n", "no column arrivals"},
		{"a cell too many", "time,arrivals\n0,1,2\n", "line 2: 3 cells, want 2"},
		{"a time", "time,arrivals\nnoon,1\n", `line 2: time "noon": want seconds such as 90`},
		{"the order", "time,arrivals\n60,1\n0,1\n", "line 3: time 0 is before that of the line above"},
		{"two forms", "time,arrivals\n0,1\n2026-11-26T12:00:00Z,1\n", "want the same form in all lines"},
		{"a count", "time,arrivals\n0,-1\n", `arrivals "-1": want a whole number`},
		{"a fraction", "time,arrivals\n0,1.5\n", `arrivals "1.5"`},
		{"too many", "time,arrivals\n0,99999999999\n", "want 0 to 20000000"},
		{"no length", "time,arrivals\n0,1\n", "no length"},
		{"another format", `{"format":"other/1"}`, `format "other/1": want "backlog-trace/1"`},
		{"an unknown key", header + `{"t":0,"arrived":1}`, `unknown field "arrived"`},
		{"a negative time", header + `{"t":-1,"arrive":1}`, "t -1: want 0 to"},
		{"a quality", `{"format":"backlog-trace/1","arrivals":"good"}`, `arrivals "good": want "exact", "lower bound" or "reconstructed"`},
		{"a quote", "time,arrivals\n\"0,1\n", "line 2: parse CSV"},
		{"a long line", strings.Repeat("x", 2<<20), "line 1: more than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := trace.Read(strings.NewReader(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// TestParts: parts of a trace have all of its messages, and a scaled one the right sum.
func TestParts(t *testing.T) {
	t.Parallel()
	whole, err := trace.Read(strings.NewReader("time,arrivals\n0,3\n60,5\n120,7\n180,0\n"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := whole.Between(0, 90*time.Second), whole.Between(90*time.Second, whole.End)
	if first.Messages() != 8 || second.Messages() != 7 || second.Arrivals[0].At != 30*time.Second || second.End != 90*time.Second {
		t.Errorf("the parts are %+v and %+v", first, second)
	}
	if got := whole.Scale(1.2).Messages(); got != 18 {
		t.Errorf("1.2 times 15 messages are %d, want 18", got)
	}
}

func TestMeanSeen(t *testing.T) {
	t.Parallel()
	seen := func(at time.Duration, ready int64) trace.Seen { return trace.Seen{At: at, Ready: ready} }
	for _, tc := range []struct {
		name  string
		seen  []trace.Seen
		want  float64
		known bool
	}{
		{"nothing", nil, 0, false},
		{"30 for a quarter of the time", []trace.Seen{seen(0, 10), seen(15*time.Second, 30), seen(30*time.Second, 0)}, 10, true},
		{"what is unknown does not count", []trace.Seen{seen(0, -1), seen(30*time.Second, 4)}, 4, true},
	} {
		whole := trace.Trace{Header: trace.Header{End: time.Minute}, Seen: tc.seen}
		if got, known := whole.MeanSeen(func(s *trace.Seen) int64 { return s.Ready }); got != tc.want || known != tc.known {
			t.Errorf("%s: %g, %t, want %g, %t", tc.name, got, known, tc.want, tc.known)
		}
	}
}

// FuzzRead: no text makes a panic, and what is read is within the bounds and can be written.
func FuzzRead(f *testing.F) {
	f.Add("time,arrivals\n0,10\n60,1\n")
	f.Add(`{"format":"backlog-trace/1","end":3}` + "\n" + `{"t":1,"arrive":2}`)
	f.Fuzz(func(t *testing.T, text string) {
		read, err := trace.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		if read.End <= 0 || read.End > trace.MaxLength || read.Messages() < 1 || read.Messages() > trace.MaxMessages {
			t.Errorf("%s and %d messages", read.End, read.Messages())
		}
		if err := trace.Write(&bytes.Buffer{}, read); err != nil {
			t.Error(err)
		}
	})
}
