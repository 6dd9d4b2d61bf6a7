package record_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus/prometheustest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/record"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A script is a scaler that answers what is written in it, one answer for each call.
type script []*pb.Explanation

func (s *script) Explain(context.Context, *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	next := (*s)[0]
	if len(*s) > 1 {
		*s = (*s)[1:]
	}
	if next == nil {
		return nil, errors.New("no answer")
	}
	return &pb.ExplainResponse{Explanations: []*pb.Explanation{next}}, nil
}

// reading is an answer. What is negative is unknown.
func reading(ready, inFlight, enqueued, dequeued int64) *pb.Explanation {
	known := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	return &pb.Explanation{
		Trigger: &pb.Trigger{Name: "list-jobs"}, Decision: &pb.Decision{Value: float64(ready)},
		Reading: &pb.Reading{Ready: ready, InFlight: known(inFlight), Enqueued: known(enqueued), Dequeued: known(dequeued), Epoch: "a"},
	}
}

// seconds returns options of a recording of so many seconds.
func seconds(t *testing.T, n int) record.Options {
	t.Helper()
	ticker := time.NewTicker(time.Second)
	t.Cleanup(ticker.Stop)
	return record.Options{
		Namespace: "shop", ScaledObject: "mail", Start: time.Now(), Interval: time.Second, For: time.Duration(n) * time.Second, Ticks: ticker.C,
	}
}

func TestScaler(t *testing.T) {
	t.Parallel()
	other := reading(3, -1, -1, -1)
	other.Reading.Epoch = "b"
	failing := reading(3, -1, -1, -1)
	failing.Problem = &pb.Problem{Reason: "unavailable"}
	type arrivals map[time.Duration]int64
	for _, tc := range []struct {
		name    string
		script  script
		quality trace.Quality
		want    arrivals // by the end of the time over which they came
		gaps    int
	}{
		{"a backlog alone", script{reading(0, -1, -1, -1), reading(5, -1, -1, -1), reading(3, -1, -1, -1), reading(9, -1, -1, -1)}, trace.LowerBound, arrivals{1: 5, 3: 6}, 0},
		{"with what is in flight", script{reading(4, 0, -1, -1), reading(2, 2, -1, -1), reading(2, 3, -1, -1)}, trace.LowerBound, arrivals{2: 1}, 0},
		{"a counter of what was enqueued", script{reading(0, -1, 100, -1), reading(0, -1, 107, -1), reading(1, -1, 110, -1)}, trace.Exact, arrivals{1: 7, 2: 3}, 0},
		{"a counter of what was finished", script{reading(10, 2, -1, 50), reading(11, 3, -1, 55)}, trace.Exact, arrivals{1: 7}, 0},
		{"a counter goes on during an outage", script{reading(0, -1, 100, -1), nil, failing, reading(4, -1, 130, -1)}, trace.Exact, arrivals{3: 30}, 0},
		{"a backlog does not", script{reading(0, -1, -1, -1), nil, reading(40, -1, -1, -1), reading(41, -1, -1, -1)}, trace.LowerBound, arrivals{3: 1}, 1},
		{"a counter that is not there for once", script{reading(0, -1, 5, -1), reading(9, -1, -1, -1), reading(3, -1, 8, -1)}, trace.Exact, arrivals{2: 3}, 0},
		{"a counter that went back", script{reading(0, -1, 100, -1), reading(2, -1, 3, -1), reading(2, -1, 4, -1)}, trace.Exact, arrivals{2: 1}, 1},
		{"an outage at the end, with a counter", script{reading(0, -1, 100, -1), reading(0, -1, 107, -1), nil, failing}, trace.Exact, arrivals{1: 7}, 1},
		{"an outage at the end, without one", script{reading(0, -1, -1, -1), reading(5, -1, -1, -1), nil, nil}, trace.LowerBound, arrivals{1: 5}, 1},
		{"other data", script{reading(0, -1, -1, -1), other, other}, trace.LowerBound, nil, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var b bytes.Buffer
				calls := tc.script
				summary, err := record.Scaler(t.Context(), &calls, &b, seconds(t, len(tc.script)-1))
				if err != nil {
					t.Fatal(err)
				}
				got, sum := arrivals{}, int64(0)
				if len(tc.want) > 0 {
					read, err := trace.Read(&b)
					if err != nil {
						t.Fatal(err)
					}
					for _, a := range read.Arrivals {
						got[(a.At+a.Over)/time.Second] += a.Count
					}
					// What was not read at the end is no part of the trace.
					known := len(tc.script) - 1
					for known > 0 && (tc.script[known] == nil || tc.script[known].GetProblem() != nil) {
						known--
					}
					if want := time.Duration(known) * time.Second; read.End != want {
						t.Errorf("the trace ends after %s, want %s", read.End, want)
					}
					if sum = read.Messages(); read.Quality != tc.quality || read.Resolution != time.Second || read.Seen[0].Value < 0 {
						t.Errorf("the trace is %+v", read)
					}
				}
				if diff := cmp.Diff(tc.want, got); len(tc.want) > 0 && diff != "" {
					t.Errorf("arrivals (-want +got):\n%s", diff)
				}
				if summary.Gaps != tc.gaps || summary.Quality != tc.quality || summary.Messages != sum {
					t.Errorf("%+v, want %d gaps and %d messages", summary, tc.gaps, sum)
				}
			})
		})
	}
}

// TestService: 4 messages in flight and 2 finished a second take 2 s in the mean.
func TestService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls script
		for second := range int64(31) {
			calls = append(calls, reading(3, 4, 100+2*second, 93+2*second))
		}
		var b bytes.Buffer
		summary, err := record.Scaler(t.Context(), &calls, &b, seconds(t, 30))
		if err != nil || summary.Service != 2*time.Second {
			t.Fatalf("%+v, %v, want 2s", summary, err)
		}
		read, err := trace.Read(&b)
		if err != nil || len(read.Service) != 1 || read.ServiceQuality != trace.Measured || read.End != 30*time.Second {
			t.Errorf("%+v, %v", read, err)
		}
	})
}

// ofPolicy is the answer for a trigger that names a policy: signals with three messages and one that
// measures a number, and the replicas of its workload.
func ofPolicy(replicas, available int32, signals ...string) *pb.Explanation {
	e := &pb.Explanation{Trigger: &pb.Trigger{Name: "policy-night", Policy: "night"}, Policy: &pb.PolicyExplanation{Policy: &pb.Policy{
		ReportedReplicas: new(replicas + 1), Workload: &pb.Workload{Replicas: &replicas, Available: &available},
	}}}
	measured := reading(0, -1, -1, -1)
	measured.Reading.Measured = new(0.5)
	for _, name := range append([]string{"load"}, signals...) {
		e.Policy.Policy.Signals = append(e.Policy.Policy.Signals, &pb.Signal{Name: name})
		if name == "load" {
			e.Policy.Signals = append(e.Policy.Signals, measured)
		} else {
			e.Policy.Signals = append(e.Policy.Signals, reading(3, 1, -1, -1))
		}
	}
	return e
}

// A fixed workload has as many replicas, and every third time it cannot be read.
type fixed struct{ calls int }

func (f *fixed) Replicas(context.Context) (desired, ready int64, err error) {
	f.calls++
	if f.calls == 3 {
		return 0, 0, errors.New("no answer")
	}
	return 7, 6, nil
}

// TestReplicas: of a policy its replicas are recorded with the queue of its signal, and of other triggers those
// of the workload. That these are not known for once is no gap.
func TestReplicas(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		script script
		choose func(*record.Options)
		want   []trace.Seen
	}{
		{"a policy", script{ofPolicy(0, 0, "mails"), ofPolicy(2, 0, "mails"), ofPolicy(2, 1, "mails")}, func(*record.Options) {}, []trace.Seen{
			{Ready: 3, InFlight: 1, Value: 1},
			{At: time.Second, Ready: 3, InFlight: 1, Replicas: 2, Value: 3},
			{At: 2 * time.Second, Ready: 3, InFlight: 1, Replicas: 2, ReadyReplicas: 1, Value: 3},
		}},
		{"one of its signals", script{ofPolicy(2, 2, "mails", "orders")}, func(o *record.Options) { o.Signal = "orders" }, []trace.Seen{
			{Ready: 3, InFlight: 1, Replicas: 2, ReadyReplicas: 2, Value: 3},
		}},
		{"a workload", script{reading(4, -1, -1, -1)}, func(o *record.Options) { o.Workload = &fixed{} }, []trace.Seen{
			{Ready: 4, InFlight: -1, Replicas: 7, ReadyReplicas: 6, Value: 4},
			{At: 2 * time.Second, Ready: 4, InFlight: -1, Replicas: -1, ReadyReplicas: -1, Value: 4},
			{At: 3 * time.Second, Ready: 4, InFlight: -1, Replicas: 7, ReadyReplicas: 6, Value: 4},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				options := seconds(t, 3)
				tc.choose(&options)
				var b bytes.Buffer
				summary, err := record.Scaler(t.Context(), &tc.script, &b, options)
				if err != nil || summary.Gaps > 0 {
					t.Fatalf("%+v, %v", summary, err)
				}
				read, err := trace.Read(strings.NewReader(b.String() + emptyArrival))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, read.Seen[:len(tc.want)]); diff != "" {
					t.Errorf("what was seen (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// emptyArrival is a line without which a trace of a queue that nothing came to would have no arrivals.
const emptyArrival = `{"t":0,"arrive":1}` + "\n"

func TestScalerRejects(t *testing.T) {
	t.Parallel()
	policy, measured, problem := reading(1, 1, 1, 1), reading(0, -1, -1, -1), reading(1, 1, 1, 1)
	policy.Trigger.Policy, measured.Reading.Measured, problem.Problem = "night", new(0.5), &pb.Problem{}
	several := ofPolicy(1, 2, "mails", "orders")
	for name, tc := range map[string]struct {
		answer *pb.Explanation
		want   string
	}{
		"a policy without a queue": {policy, "has no signal that counts messages"}, "a policy with several queues": {several, "want one of them: --signal mails, orders"}, "a number": {measured, "measures a number"},
		"no reading": {problem, "cannot be read"}, "no scaler": {nil, "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := script{tc.answer}
			if _, err := record.Scaler(t.Context(), &calls, &bytes.Buffer{}, seconds(t, 1)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// TestPrometheus records the rate of a counter from a real server.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	server := prometheustest.Start(t)
	source, err := prometheus.Engine().Open(t.Context(), backlog.Connection{
		Name: "metrics", Engine: "prometheus", Settings: backlog.NewSettings(map[string]any{"url": server.URL}),
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	client, ok := source.(backlog.Ranger)
	if !ok {
		t.Fatal("the engine keeps no past")
	}
	for i := range 5 {
		server.Set(t, "orders_total", float64(50*i)) // it waits until Prometheus has the value
	}
	query := record.RangeQuery{Query: "sum(rate(orders_total[2s]))", Step: time.Second}
	var b bytes.Buffer
	var summary record.Summary
	if err := childprocess.Poll(t.Context(), "the rate", time.Minute, 100*time.Millisecond, func(ctx context.Context) error {
		b.Reset()
		query.To = time.Now().Truncate(time.Second)
		query.From = query.To.Add(-40 * time.Second)
		var err error
		if summary, err = record.Prometheus(ctx, client, &b, query); err == nil && summary.Messages < 100 {
			err = fmt.Errorf("%d messages, want some 200", summary.Messages)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	read, err := trace.Read(&b)
	if err != nil || read.Quality != trace.Reconstructed || read.Messages() != summary.Messages || read.End != 40*time.Second {
		t.Fatalf("%+v, %v", read, err)
	}
	if summary.Messages > 400 {
		t.Errorf("%d messages, want some 200", summary.Messages)
	}
	for text, want := range map[string]string{
		"rate(": "parse error", "prometheustest_started * 0": "no messages in this time",
	} {
		query.Query = text
		if _, err := record.Prometheus(t.Context(), client, &bytes.Buffer{}, query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}
