package explain_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
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
			Value: 25, Target: 5, Active: true, WantedReplicas: 5, Counted: []string{"ready", "due", "inFlight"}, Activation: 2, ValidUntil: ago(-40 * time.Second),
			Steps: []*pb.Step{
				{Reason: "workerLimit", Before: 27, After: 25, Description: "More workers than this cannot help (`maxUseful`)."},
				{Reason: "stale", Before: 25, After: 25},
			},
			Drain: &pb.Drain{DrainSeconds: 60, Throughput: 2, Arrivals: 10, Slow: 8.125, Fast: 10, WindowSeconds: 300, LowerBound: true},
		},
		Reading: &pb.Reading{
			At: ago(1200 * time.Millisecond), AgeSeconds: 1.2, Backlog: 27, Ready: 23, InFlight: proto.Int64(4), Quality: "exact",
			OldestAgeSeconds: proto.Float64(312), OldestKind: "lower bound", MaxUsefulWorkers: 5, NextDue: ago(-90 * time.Minute), Paused: true, Orphaned: 2, IgnoredOrphaned: 1, Warning: "odd", Hint: "there is b",
			Parts: []*pb.Part{
				{Queue: "a", Ready: 20, InFlight: proto.Int64(4), Weight: proto.Float64(2), Value: proto.Float64(24), WorkerLimited: true},
				{Queue: "b", Ready: 3, Missing: true},
			},
		},
		ReadStatus: &pb.ReadStatus{
			Armed: true, Server: "redis 8.0.0", WakeUpMode: "keyspace", FallbackReason: "tracking is refused", LastChangeAt: ago(3 * time.Second), MissesPassingWork: true,
			LastAttempt: &pb.ReadAttempt{At: ago(time.Second), Cause: "wake-up"}, BecameNonempty: &pb.ReadAttempt{At: ago(5 * time.Hour), Cause: "due"},
		},
		CallHistory: &pb.CallHistory{LastCallAt: ago(2 * time.Second), LastMethod: "GetMetrics", OpenStreams: 2, LastResponses: []*pb.LastResponse{
			{Method: "GetMetrics", At: ago(2 * time.Second), UnchangedSince: ago(9 * time.Minute), Value: proto.Float64(25)},
			{Method: "GetMetricSpec", At: ago(3 * time.Second), UnchangedSince: ago(3 * time.Second), Target: proto.Float64(5)},
			{Method: "StreamIsActive", At: ago(4 * time.Second), UnchangedSince: ago(4 * time.Second), Active: new(true)},
		}},
		Problem: &pb.Problem{Reason: "unavailable", Message: "refused", ReadingUsedUntil: ago(-18 * time.Second), Advice: "Start it."},
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	if err := explain.Text(&got, &pb.ExplainResponse{At: ago(0), Explanations: []*pb.Explanation{explanation()}}); err != nil {
		t.Fatal(err)
	}
	want := `shop/billing wants 5 replicas (25 messages / 5 per replica), active; reported to KEDA 2.0 s ago
decision    27 messages: 23 ready + 4 in flight
            workerLimit: 27 -> 25. More workers than this cannot help (maxUseful).
            stale: stays 25
            drain within 60 s: each replica finishes 2/s, at least 10/s arrive (8.13/s over 5 min, 10/s recently)
            active; the activation is 2
            may change in 40 s without a new reading
queue       list "a,b" on connection orders, read 1.2 s ago
            23 ready, 0 due, 4 in flight (exact); oldest waiting for 5 min (lower bound)
            a: 20 ready, 0 due, 4 in flight, value 24, weight 2, worker limit
            b: 3 ready, 0 due, unknown in flight, missing
            2 orphaned: counted, although nothing in the framework moves them
            1 more orphaned for longer than orphanedAfter: not counted
            paused: the engine delivers nothing
            more than 5 workers do not help
            next delayed message due in 90 min
reads       last attempt 1.0 s ago (wake-up); changes noticed by keyspace (redis 8.0.0); armed
            fallback reason: tracking is refused
            last change reported by the engine 3.0 s ago
            work that passes between two reads leaves no trace: holdActive counts from work that a read found
            became non-empty 5 h ago (due)
KEDA        last call GetMetrics 2.0 s ago; 2 open streams
            GetMetrics returned 25 messages 2.0 s ago, unchanged for 9 min
            GetMetricSpec returned 5 per replica 3.0 s ago, unchanged for 3.0 s
            StreamIsActive returned active 4.0 s ago, unchanged for 4.0 s
warning     odd
hint        there is b
problem     unavailable: refused
            the last reading is used for another 18 s; then KEDA gets an error and holds the replicas
advice      Start it.
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// TestVerdict has what the first line says of what KEDA knows.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		responses []*pb.LastResponse
		want      string
	}{
		{"nothing", nil, "not yet reported to KEDA"},
		{"another value", []*pb.LastResponse{{At: ago(12 * time.Second), Value: proto.Float64(20)}}, "KEDA got 20 messages 12 s ago"},
		{"another activity", []*pb.LastResponse{{At: ago(12 * time.Second), Active: new(false)}}, "KEDA got inactive 12 s ago"},
		{"an error", []*pb.LastResponse{{At: ago(12 * time.Second), Code: "Unavailable"}}, "KEDA got Unavailable 12 s ago"},
		{"the target alone", []*pb.LastResponse{{At: ago(12 * time.Second), Target: proto.Float64(5)}}, "not yet reported to KEDA"},
		{"the same", []*pb.LastResponse{{At: ago(3 * time.Minute), Active: new(true)}}, "reported to KEDA 3 min ago"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := explanation()
			e.CallHistory.LastResponses = tc.responses
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

// news are the messages of a watch: three triggers; one goes.
func news() []*pb.WatchDecisionsResponse {
	idle := &pb.Explanation{
		Trigger:  &pb.Trigger{Id: "2", Namespace: "shop", ScaledObject: "mails", Name: "list-mails"},
		Decision: &pb.Decision{Target: 5}, CallHistory: &pb.CallHistory{OpenStreams: 1},
	}
	refused := &pb.Explanation{
		Trigger: &pb.Trigger{Id: "3", Namespace: "bank", ScaledObject: "ledger"},
		Problem: &pb.Problem{Reason: "invalid", Code: "InvalidArgument", Message: `tagret: unknown key, did you mean "target"?`},
	}
	return []*pb.WatchDecisionsResponse{
		{At: ago(2 * time.Second), Changed: []*pb.Explanation{idle, refused}},
		{At: ago(2 * time.Second), Changed: []*pb.Explanation{explanation()}, Complete: true},
		{At: ago(0), Removed: []*pb.Trigger{idle.GetTrigger()}, Complete: true},
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
15:04:03.000  shop/billing list-a  wants 5 replicas (25 / 5), active, workerLimit, stale; unavailable: refused
15:04:05.000  shop/mails list-mails  no longer called by KEDA
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
	if len(got.Changed) != 1 || got.Changed[0].Trigger.ScaledObject != "billing" || got.Changed[0].Decision.Steps[0].Reason != "workerLimit" {
		t.Errorf("%+v of %s", got, lines[1])
	}
}

// TestYAMLDocuments: they say what the lines of JSON say.
func TestYAMLDocuments(t *testing.T) {
	t.Parallel()
	var lines, documents strings.Builder
	for _, r := range news() {
		if err := errors.Join(explain.JSONLines(&lines, r), explain.YAMLDocuments(&documents, r)); err != nil {
			t.Fatal(err)
		}
	}
	// JSON is YAML.
	var want, got []any
	for line := range strings.Lines(lines.String()) {
		want = append(want, decoded(t, line)...)
	}
	if got = decoded(t, documents.String()); len(got) != 3 {
		t.Errorf("%d documents, want one for each message that says something", len(got))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-JSON +YAML):\n%s", diff)
	}
	if text := "    trigger:\n      id: \"2\"\n"; !strings.HasPrefix(documents.String(), "---\n") || !strings.Contains(documents.String(), text) {
		t.Errorf("no %q in\n%s", text, &documents)
	}
}

// decoded returns the documents of YAML.
func decoded(t *testing.T, text string) []any {
	t.Helper()
	var all []any
	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, document)
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
		"shop/billing  list-a         25       5      5          4        2  active, workerLimit, stale; una…",
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

// TestScreenNote: a note is above the table until messages have come for a while.
func TestScreenNote(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	screen := explain.NewScreen(&out, func() (width, height int) { return 40, 24 })
	if err := screen.Note("too early"); err != nil || out.Len() > 0 {
		t.Errorf("%v; before the first table it draws %q", err, out.String())
	}
	// drawn is the note in the table that was drawn last.
	drawn := func(err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\x1b[K\r\n")
		out.Reset()
		return lines[1]
	}
	show := func(after time.Duration) error {
		return screen.Show(&pb.WatchDecisionsResponse{At: ago(-after), Complete: true})
	}
	if note := drawn(show(0)); note != "" {
		t.Errorf("the first table has the note %q", note)
	}
	if note := drawn(screen.Note("No replica is left, and one is searched for.")); note != "No replica is left, and one is searched…" {
		t.Errorf("the note is %q", note)
	}
	if note := drawn(show(9 * time.Second)); note == "" {
		t.Error("the note has gone after nine seconds")
	}
	if note := drawn(show(10 * time.Second)); note != "" {
		t.Errorf("the note stays: %q", note)
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
