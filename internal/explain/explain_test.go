package explain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// now is the scaler's time in all messages.
func now() time.Time { return time.Date(2026, 11, 22, 15, 4, 5, 0, time.UTC) }

func ago(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now().Add(-d)) }

// explanation is one that has everything in it.
func explanation() *pb.Explanation {
	return &pb.Explanation{
		Trigger: &pb.Trigger{Id: "1", Namespace: "shop", ScaledObject: "billing", Name: "list-a", Connection: "orders", Layout: "list", Queue: "a,b"},
		Decision: &pb.Decision{
			Value: 25, Target: 5, Active: true, WantedReplicas: 5, Counted: []string{"ready", "due", "inFlight"}, Activation: 2, Until: ago(-40 * time.Second),
			Steps: []*pb.Step{
				{Reason: "capped", Before: 27, After: 25, Sentence: "More workers than this cannot help (`maxUseful`)."},
				{Reason: "bridged", Before: 25, After: 25},
			},
			Drain: &pb.Drain{DrainSeconds: 60, Throughput: 2, Arrivals: 10, Slow: 8.125, Fast: 10, WindowSeconds: 300, LowerBound: true},
		},
		Reading: &pb.Reading{
			At: ago(1200 * time.Millisecond), AgeSeconds: 1.2, Backlog: 27, Ready: 23, InFlight: proto.Int64(4), Quality: "exact",
			OldestAgeSeconds: proto.Float64(312), OldestKind: "lower bound", MaxUseful: 5, NextDue: ago(-90 * time.Minute), Paused: true, Orphaned: 2, Ignored: 1, Warning: "odd", Hint: "there is b",
			Parts: []*pb.Part{
				{Queue: "a", Ready: 20, InFlight: proto.Int64(4), Weight: proto.Float64(2), Value: proto.Float64(24), Capped: true},
				{Queue: "b", Ready: 3, Missing: true},
			},
		},
		Watching: &pb.Watching{
			Armed: true, Server: "redis 8.0.0", WakeUp: "keyspace", WakeUpReason: "tracking is refused", StirredAt: ago(3 * time.Second), Traceless: true,
			Last: &pb.Look{At: ago(time.Second), Cause: "wake-up"}, Woke: &pb.Look{At: ago(5 * time.Hour), Cause: "due"},
		},
		Conversation: &pb.Conversation{AskedAt: ago(2 * time.Second), AskedBy: "GetMetrics", OpenStreams: 2, Told: []*pb.Told{
			{Method: "GetMetrics", At: ago(2 * time.Second), Since: ago(9 * time.Minute), Value: proto.Float64(25)},
			{Method: "GetMetricSpec", At: ago(3 * time.Second), Since: ago(3 * time.Second), Target: proto.Float64(5)},
			{Method: "StreamIsActive", At: ago(4 * time.Second), Since: ago(4 * time.Second), Active: new(true)},
		}},
		Problem: &pb.Problem{Reason: "unavailable", Message: "refused", BridgedUntil: ago(-18 * time.Second), Advice: "Start it."},
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	if err := explain.Text(&got, &pb.ExplainResponse{At: ago(0), Explanations: []*pb.Explanation{explanation()}}); err != nil {
		t.Fatal(err)
	}
	want := `shop/billing wants 5 replicas (25 messages / 5 per replica), active; KEDA was told 2.0 s ago
why         27 messages: 23 ready + 4 in flight
            capped: 27 becomes 25. More workers than this cannot help (maxUseful).
            bridged: stays 25
            to be drained within 60 s by replicas that finish 2/s each, while at least 10/s arrive (8.13/s over 5 min, 10/s of late)
            active; the activation is 2
            this may change in 40 s although nothing else is read
queue       list "a,b" on connection orders, read 1.2 s ago
            23 ready, 0 due, 4 in flight (exact); the oldest waits 5 min (lower bound)
            a: 20 ready, 0 due, 4 in flight, asks for 24, weight 2, capped
            b: 3 ready, 0 due, unknown in flight, missing
            2 of these are orphaned: nothing in the framework moves them
            1 more have been orphaned for longer than orphanedAfter and do not count
            it is paused: the engine hands out nothing
            more than 5 workers cannot help
            the next delayed message falls due in 90 min
watching    looked at 1.0 s ago (wake-up); changes are noticed by keyspace (redis 8.0.0); armed
            not better because: tracking is refused
            the engine last told of a change 3.0 s ago
            work that comes and is taken between two looks leaves no trace here: holdActive counts from work that was seen
woken       5 h ago: there was work after there was none (due)
KEDA        asked GetMetrics 2.0 s ago; it holds 2 streams
            GetMetrics told 25 messages 2.0 s ago, the same for 9 min
            GetMetricSpec told 5 per replica 3.0 s ago, the same for 3.0 s
            StreamIsActive told active 4.0 s ago, the same for 4.0 s
warning     odd
hint        there is b
problem     unavailable: refused
            the last reading stands in for another 18 s; then KEDA gets an error and holds the replicas
what to do  Start it.
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// TestVerdict has what the first line says of what KEDA knows.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		told []*pb.Told
		want string
	}{
		{"nothing", nil, "KEDA was not told yet"},
		{"another value", []*pb.Told{{At: ago(12 * time.Second), Value: proto.Float64(20)}}, "KEDA was told 20 messages 12 s ago"},
		{"another activity", []*pb.Told{{At: ago(12 * time.Second), Active: new(false)}}, "KEDA was told inactive 12 s ago"},
		{"an error", []*pb.Told{{At: ago(12 * time.Second), Code: "Unavailable"}}, "KEDA was told Unavailable 12 s ago"},
		{"the target alone", []*pb.Told{{At: ago(12 * time.Second), Target: proto.Float64(5)}}, "KEDA was not told yet"},
		{"the same", []*pb.Told{{At: ago(3 * time.Minute), Active: new(true)}}, "KEDA was told 3 min ago"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := explanation()
			e.Conversation.Told = tc.told
			var b strings.Builder
			if err := explain.Text(&b, &pb.ExplainResponse{At: ago(0), Explanations: []*pb.Explanation{e}}); err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(b.String(), "\n")
			if want := "shop/billing wants 5 replicas (25 messages / 5 per replica), active; " + tc.want; first != want {
				t.Errorf("\n got %s\nwant %s", first, want)
			}
		})
	}
}

// news are the messages of a watch: three triggers, of which one goes.
func news() []*pb.WatchDecisionsResponse {
	idle := &pb.Explanation{
		Trigger:  &pb.Trigger{Id: "2", Namespace: "shop", ScaledObject: "mails", Name: "list-mails"},
		Decision: &pb.Decision{Target: 5}, Conversation: &pb.Conversation{OpenStreams: 1},
	}
	refused := &pb.Explanation{
		Trigger: &pb.Trigger{Id: "3", Namespace: "bank", ScaledObject: "ledger"},
		Problem: &pb.Problem{Reason: "invalid", Code: "InvalidArgument", Message: `tagret: unknown key, did you mean "target"?`},
	}
	return []*pb.WatchDecisionsResponse{
		{At: ago(2 * time.Second), Changed: []*pb.Explanation{idle, refused}},
		{At: ago(2 * time.Second), Changed: []*pb.Explanation{explanation()}, Complete: true},
		{At: ago(0), Gone: []*pb.Trigger{idle.GetTrigger()}, Complete: true},
		{At: ago(0), Complete: true},
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for _, r := range news() {
		if err := explain.Lines(&got, r); err != nil {
			t.Fatal(err)
		}
	}
	want := `15:04:03.000  shop/mails list-mails  wants 0 replicas (0 / 5), inactive
15:04:03.000  bank/ledger  invalid: tagret: unknown key, did you mean "target"?
15:04:03.000  shop/billing list-a  wants 5 replicas (25 / 5), active, capped, bridged; unavailable: refused
15:04:05.000  shop/mails list-mails  KEDA does not ask any more
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, r := range news() {
		if err := explain.JSONLines(&b, r); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want one for each message that tells something:\n%s", len(lines), &b)
	}
	var got struct {
		Changed []struct {
			Trigger  struct{ ScaledObject string }
			Decision struct{ Steps []struct{ Reason string } }
		}
	}
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Changed) != 1 || got.Changed[0].Trigger.ScaledObject != "billing" || got.Changed[0].Decision.Steps[0].Reason != "capped" {
		t.Errorf("%+v of %s", got, lines[1])
	}
}

func TestScreen(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	screen := explain.NewScreen(&out, func() (width, height int) { return 100, 24 })
	for _, r := range news()[:2] {
		if err := screen.Show(r); err != nil {
			t.Fatal(err)
		}
	}
	want := "\x1b[?1049h\x1b[?25l\x1b[H" + strings.Join([]string{
		"3 triggers, 1 active, as of 15:04:03",
		"",
		"SCALEDOBJECT  TRIGGER     VALUE  TARGET  WANTS  IN FLIGHT  STREAMS  STATE",
		"bank/ledger   -               -       -      -          -        0  invalid: tagret: unknown key, d…",
		"shop/billing  list-a         25       5      5          4        2  active, capped, bridged; unavai…",
		"shop/mails    list-mails      0       5      0          -        1  inactive",
		"",
	}, "\x1b[K\r\n") + "\x1b[J"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}
	out.Reset()
	if err := screen.Show(news()[2]); err != nil {
		t.Fatal(err)
	}
	screen.Close()
	screen.Close()
	_, after, left := strings.Cut(out.String(), "\x1b[?25h\x1b[?1049l")
	if !left || strings.Contains(after, "shop/mails") || !strings.Contains(after, "shop/billing") || strings.Contains(after, "\x1b") {
		t.Errorf("at the end the terminal holds %q", after)
	}
}

func TestScreenTooSmall(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	screen := explain.NewScreen(&out, func() (width, height int) { return 60, 5 })
	for _, r := range news()[:2] {
		if err := screen.Show(r); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); !strings.Contains(got, "(and 2 more in a larger window, or with --namespace)") || strings.Contains(got, "shop/mails") {
		t.Errorf("a screen of 5 rows shows %q", got)
	}
}
