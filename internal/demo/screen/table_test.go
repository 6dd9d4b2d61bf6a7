package screen

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is a moment of a demo.
func sample() Snapshot {
	return Snapshot{
		Elapsed: 83 * time.Second,
		Intro:   []string{"backlog-scaler on 127.0.0.1:9090.", "It is called as KEDA does."},
		Rows: []Row{
			{
				Workload: "emails", Queue: "list emails", Waiting: Number{43, true}, InFlight: Number{5, true},
				Oldest: Age{12300 * time.Millisecond, true}, Wanted: 10, Running: 5, Why: "HPA: ceil(48/5) = 10",
			},
			{
				Workload: "orders", Queue: "stream orders", Waiting: Number{0, true}, InFlight: Number{1, true},
				Oldest: Age{1500 * time.Millisecond, true}, Wanted: 1, Running: 0, Why: "woken 0.8 ms after the write; HPA in 9 s",
			},
			{Workload: "reminders", Queue: "sortedSet reminders", Waiting: Number{0, true}, Oldest: Age{}, Why: "idle: 30 messages in 12 s"},
		},
		Events: []Event{{After: 79900 * time.Millisecond, Subject: "emails", Text: "5 → 10  HPA: ceil(48/5) = 10"}},
		Hints:  []string{"grpcurl -plaintext -d '{\"name\":\"emails\"}' 127.0.0.1:9090 externalscaler.ExternalScaler/IsActive"},
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		width int
		want  string
	}{
		"wide": {120, `
backlog-scaler on 127.0.0.1:9090.
It is called as KEDA does.

WORKLOAD   QUEUE                WAITING  IN FLIGHT  OLDEST  WANTED  RUNNING  WHY
emails     list emails               43          5    12 s      10        5  HPA: ceil(48/5) = 10
orders     stream orders              0          1   1.5 s       1        0  woken 0.8 ms after the write; HPA in 9 s
reminders  sortedSet reminders        0          -       -       0        0  idle: 30 messages in 12 s

  79.9s  emails     5 → 10  HPA: ceil(48/5) = 10








grpcurl -plaintext -d '{"name":"emails"}' 127.0.0.1:9090 externalscaler.ExternalScaler/IsActive
`},
		"narrow": {90, `
backlog-scaler on 127.0.0.1:9090.
It is called as KEDA does.

WORKLOAD   QUEUE                WAITING  IN FLIGHT  OLDEST  WANTED  RUNNING
emails     list emails               43          5    12 s      10        5
  HPA: ceil(48/5) = 10
orders     stream orders              0          1   1.5 s       1        0
  woken 0.8 ms after the write; HPA in 9 s
reminders  sortedSet reminders        0          -       -       0        0
  idle: 30 messages in 12 s

  79.9s  emails     5 → 10  HPA: ceil(48/5) = 10








grpcurl -plaintext -d '{"name":"emails"}' 127.0.0.1:9090 externalscaler.ExternalScaler/IsActive
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			got.WriteString("\n")
			for _, l := range sample().lines(test.width) {
				got.WriteString(l.text + "\n")
			}
			if diff := cmp.Diff(test.want, got.String()); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	l := NewLog(&out)
	s := sample()
	l.Show(s)
	s.Events = nil
	l.Show(s) // nothing is new
	s.Elapsed += 500 * time.Millisecond
	s.Rows[0].Running = 10
	l.Show(s) // too early for a status
	s.Elapsed += 500 * time.Millisecond
	l.Show(s)
	l.Close()
	want := `backlog-scaler on 127.0.0.1:9090.
It is called as KEDA does.

grpcurl -plaintext -d '{"name":"emails"}' 127.0.0.1:9090 externalscaler.ExternalScaler/IsActive

  79.9s  emails     5 → 10  HPA: ceil(48/5) = 10
  83.0s  now        emails 43+5 in 5/10, orders 0+1 in 0/1, reminders 0 in 0/0
  84.0s  now        emails 43+5 in 10/10, orders 0+1 in 0/1, reminders 0 in 0/0
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
