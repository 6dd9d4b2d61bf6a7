package replicas_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/replicas"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is a moment, in seconds.
func at(seconds int64) *timestamppb.Timestamp { return &timestamppb.Timestamp{Seconds: seconds} }

// explained is the explanation of a trigger that KEDA called at a second; 0 for never.
func explained(id, name string, value float64, called int64) *pb.Explanation {
	e := &pb.Explanation{
		Trigger:  &pb.Trigger{Id: id, Namespace: "shop", ScaledObject: "billing", Name: name},
		Decision: &pb.Decision{Value: value, Target: 1, Active: value > 0},
	}
	if called > 0 {
		e.CallHistory = &pb.CallHistory{LastCallAt: at(called)}
	}
	return e
}

// A replica is one in memory.
type replica struct {
	at           int64
	explanations []*pb.Explanation
	faults       string
	decided      int64
	connections  []*pb.Connection
	err          error
	// messages are those of a watch, which goes on until its context ends, or ends with an error.
	messages <-chan *pb.WatchDecisionsResponse
	closed   atomic.Bool
}

func (r *replica) Close() error {
	r.closed.Store(true)
	return nil
}

func (r *replica) ListTriggers(context.Context, *pb.ListTriggersRequest) (*pb.ListTriggersResponse, error) {
	if r.err != nil {
		return nil, r.err
	}
	response := &pb.ListTriggersResponse{}
	for _, e := range r.explanations {
		response.Triggers = append(response.Triggers, e.GetTrigger())
	}
	return response, nil
}

func (r *replica) Explain(context.Context, *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	if r.err != nil {
		return nil, r.err
	}
	return &pb.ExplainResponse{At: at(r.at), Explanations: r.explanations, ConfigurationError: r.faults}, nil
}

func (r *replica) ExplainPolicy(context.Context, *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	if r.err != nil {
		return nil, r.err
	}
	return &pb.ExplainPolicyResponse{At: at(r.at), Explanation: &pb.PolicyExplanation{Policy: &pb.Policy{Name: "billing", DecidedAt: at(r.decided)}}}, nil
}

func (r *replica) ListConnections(context.Context) (*pb.ListConnectionsResponse, error) {
	if r.err != nil {
		return nil, r.err
	}
	return &pb.ListConnectionsResponse{At: at(r.at), Connections: r.connections, ConfigurationError: r.faults}, nil
}

func (r *replica) Watch(ctx context.Context, _ *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, more := <-r.messages:
			if !more {
				return r.err
			}
			if err := show(m); err != nil {
				return err
			}
		}
	}
}

// notes collects what a group notes.
type notes struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (n *notes) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notes) all() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

func group(n *notes, all ...*replica) *replicas.Group {
	var members []replicas.Replica
	for i, r := range all {
		members = append(members, replicas.Replica{Name: string(rune('A' + i)), Scaler: r})
	}
	return replicas.NewGroup(members, nil, n.add)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	unknown := inspector.UnknownError("KEDA has not asked this replica about shop/biling recently")
	for _, tc := range []struct {
		name     string
		replicas []*replica
		// want are names and values; wantErr is a part of the error.
		want    map[string]float64
		at      int64
		notes   string
		wantErr string
	}{
		{"one", []*replica{{at: 10, explanations: []*pb.Explanation{explained("1", "x", 1, 5)}}}, map[string]float64{"x": 1}, 10, "", ""},
		{
			"the latest call counts", []*replica{
				{at: 10, explanations: []*pb.Explanation{explained("1", "x", 1, 5)}},
				{at: 11, explanations: []*pb.Explanation{explained("1", "x", 2, 6)}, faults: "line 3"},
				{at: 9, explanations: []*pb.Explanation{explained("1", "x", 3, 0)}},
			}, map[string]float64{"x": 2}, 11, "Of 3 replicas B answers, which KEDA called last.", "",
		},
		{
			"each trigger by itself", []*replica{
				{at: 10, explanations: []*pb.Explanation{explained("1", "x", 1, 5), explained("2", "y", 1, 9)}},
				{at: 10, explanations: []*pb.Explanation{explained("2", "x", 2, 6), explained("3", "y", 2, 8)}},
			}, map[string]float64{"x": 2, "y": 1}, 10, "Of 2 replicas B answers for x.\nOf 2 replicas A answers for y.", "",
		},
		{
			"a static watch is of the first", []*replica{
				{at: 10, explanations: []*pb.Explanation{explained("1", "x", 1, 0)}},
				{at: 10, explanations: []*pb.Explanation{explained("1", "x", 2, 0)}},
			}, map[string]float64{"x": 1}, 10, "Of 2 replicas A answers.", "",
		},
		{
			"one fails, one does not know",
			[]*replica{{err: broken}, {err: unknown}, {at: 10, explanations: []*pb.Explanation{explained("1", "x", 1, 5)}}},
			map[string]float64{"x": 1},
			10, "One replica does not answer: A: broken\nOf 3 replicas C answers, which KEDA called last.", "",
		},
		{"a suggestion helps most", []*replica{{err: unknown}, {err: unknown + ", did you mean shop/billing?"}}, nil, 0, "", "did you mean shop/billing?"},
		{"none knows, and one fails", []*replica{{err: broken}, {err: unknown}}, nil, 0, "One replica does not answer: A: broken", "KEDA has not asked"},
		{"all fail", []*replica{{err: broken}, {err: broken}}, nil, 0, "", "A: broken\nB: broken"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var n notes
			got, err := group(&n, tc.replicas...).Explain(t.Context(), &pb.ExplainRequest{})
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Fatalf("error %v, want %q", err, tc.wantErr)
			}
			if n.all() != tc.notes {
				t.Errorf("notes %q, want %q", n.all(), tc.notes)
			}
			if err != nil {
				return
			}
			values := map[string]float64{}
			for _, e := range got.GetExplanations() {
				values[e.GetTrigger().GetName()] = e.GetDecision().GetValue()
			}
			if diff := cmp.Diff(tc.want, values); diff != "" || got.GetAt().GetSeconds() != tc.at {
				t.Errorf("at %d, want %d (-want +got):\n%s", got.GetAt().GetSeconds(), tc.at, diff)
			}
			if faults := len(tc.replicas) == 3 && tc.replicas[1].faults != ""; faults != (got.GetConfigurationError() != "") {
				t.Errorf("faults %q", got.GetConfigurationError())
			}
		})
	}
}

// TestListTriggers: a trigger that several replicas know is there once.
func TestListTriggers(t *testing.T) {
	t.Parallel()
	var n notes
	got, err := group(&n,
		&replica{explanations: []*pb.Explanation{explained("1", "x", 1, 5), explained("2", "y", 1, 5)}},
		&replica{err: errors.New("gone")},
		&replica{explanations: []*pb.Explanation{explained("4", "x", 1, 5), explained("3", "z", 1, 5)}},
	).ListTriggers(t.Context(), &pb.ListTriggersRequest{})
	names := []string{}
	for _, trigger := range got {
		names = append(names, trigger.GetName())
	}
	if diff := cmp.Diff([]string{"x", "y", "z"}, names); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if want := "One replica does not answer: B: gone"; n.all() != want {
		t.Errorf("notes %q, want %q", n.all(), want)
	}
}

func TestExplainPolicy(t *testing.T) {
	t.Parallel()
	var n notes
	got, err := group(&n, &replica{at: 10, decided: 4}, &replica{at: 10, decided: 9}, &replica{err: errors.New("gone")}).
		ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{})
	if err != nil || got.GetExplanation().GetPolicy().GetDecidedAt().GetSeconds() != 9 {
		t.Errorf("%v, %v", got, err)
	}
	if want := "One replica does not answer: C: gone\nOf 3 replicas B answers, which decided last."; n.all() != want {
		t.Errorf("notes %q, want %q", n.all(), want)
	}
}

func TestListConnections(t *testing.T) {
	t.Parallel()
	connection := func(name, server string, contact int64) *pb.Connection {
		c := &pb.Connection{Name: name, Server: server}
		if contact > 0 {
			c.LastContactAt = at(contact)
		}
		return c
	}
	var n notes
	got, err := group(&n,
		&replica{at: 10, connections: []*pb.Connection{connection("main", "first", 5), connection("only", "first", 0)}},
		&replica{at: 12, faults: "line 3", connections: []*pb.Connection{connection("main", "second", 6)}},
		&replica{at: 11, connections: []*pb.Connection{connection("main", "third", 0), connection("apart", "third", 1)}},
		&replica{err: errors.New("gone")},
	).ListConnections(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	servers := []string{}
	for _, c := range got.GetConnections() {
		servers = append(servers, c.GetName()+" "+c.GetServer())
	}
	if diff := cmp.Diff([]string{"apart third", "main second", "only first"}, servers); diff != "" {
		t.Errorf("connections (-want +got):\n%s", diff)
	}
	if got.GetAt().GetSeconds() != 12 || got.GetConfigurationError() != "line 3" || n.all() != "One replica does not answer: D: gone" {
		t.Errorf("at %d, faults %q, notes %q", got.GetAt().GetSeconds(), got.GetConfigurationError(), n.all())
	}
}

// A line is noted once, however often it is true.
func TestNotesOnce(t *testing.T) {
	t.Parallel()
	var n notes
	g := group(&n, &replica{at: 10, decided: 4}, &replica{err: errors.New("gone")})
	for range 3 {
		if _, err := g.ExplainPolicy(t.Context(), &pb.ExplainPolicyRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "One replica does not answer: B: gone\nOf 2 replicas A answers, which decided last."; n.all() != want {
		t.Errorf("notes %q, want %q", n.all(), want)
	}
}
