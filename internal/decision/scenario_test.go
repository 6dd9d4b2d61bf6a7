package decision_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

var update = flag.Bool("update", false, "write the outcomes of the scenarios again")

// TestScenarios plays the stories of testdata/scenarios and holds each against its
// outcome, which -update writes again.
func TestScenarios(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(paths) < 8 {
		t.Fatalf("%d scenarios, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			golden := strings.TrimSuffix(path, ".txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// play runs a scenario and returns its outcome. A scenario has lines of two kinds:
// settings, such as "trigger: target=5 hold=1m", and what happens when, such as
// "2m30s add 100".
func play(t *testing.T, text string) string {
	t.Helper()
	s := &simulation{
		now: start, work: time.Second, startup: 5 * time.Second, epoch: "a",
		object: hpa.ScaledObject{Max: 50, Cooldown: time.Minute, Created: start},
	}
	var b strings.Builder
	var last row
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			b.WriteString(line + "\n")
			continue
		}
		if key, value, found := strings.Cut(line, ": "); found {
			b.WriteString(line + "\n")
			s.set(t, key, value)
			continue
		}
		if s.activation == nil {
			s.activation, s.autoscaler = hpa.NewActivation(s.object), hpa.New(s.object.Spec())
			fmt.Fprintf(&b, "\n%-8s %-10s %8s %9s %8s %6s %9s  %s\n", "time", "event", "waiting", "in flight", "value", "active", "replicas", "reasons")
		}
		when, event, _ := strings.Cut(line, " ")
		until, err := time.ParseDuration(when)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for s.now.Before(start.Add(until)) {
			s.second()
			last = s.tell(&b, "", last)
			s.now = s.now.Add(time.Second)
		}
		if event = strings.TrimSpace(event); event == "end" {
			break
		}
		s.happen(t, event)
		s.second()
		last = s.tell(&b, event, last)
		s.now = s.now.Add(time.Second)
	}
	fmt.Fprintf(&b, "\nfinished %d, interrupted %d, longest wait %s, replica-seconds %d\n", s.finished, s.interrupted, s.longest, s.replicaSeconds)
	return b.String()
}

// A row is what a line of the outcome is about.
type row struct {
	replicas        int
	active, reasons string
	reported        bool
}

// tell writes a line if something happened or changed that matters.
func (s *simulation) tell(b *strings.Builder, event string, last row) row {
	now := row{replicas: len(s.workers), active: "no", reasons: s.reasons(), reported: s.err == nil}
	if s.decision.Active {
		now.active = "yes"
	}
	value := fmt.Sprintf("%.4g", s.decision.Value)
	if s.err != nil {
		value = "error"
		if !errors.Is(s.err, decision.ErrWarmingUp) {
			now.active = "-"
		}
	}
	// These two come and go with every message.
	reasons := now.reasons
	now.reasons = strings.Join(strings.Fields(strings.NewReplacer("deadband", "", "hold ", " ").Replace(now.reasons+" ")), " ")
	if now == last && event == "" {
		return now
	}
	elapsed := s.now.Sub(start).String()
	fmt.Fprintln(b, strings.TrimRight(fmt.Sprintf("%-8s %-10s %8d %9d %8s %6s %9d  %s",
		elapsed, event, len(s.waiting), s.inFlight(), value, now.active, now.replicas, reasons), " "))
	return now
}

// set reads a setting.
func (s *simulation) set(t *testing.T, key, value string) {
	t.Helper()
	for pair := range strings.FieldsSeq(value) {
		name, value, _ := strings.Cut(pair, "=")
		var err error
		switch key + " " + name {
		case "workers work":
			s.work, err = time.ParseDuration(value)
		case "workers startup":
			s.startup, err = time.ParseDuration(value)
		case "workers max":
			var most int
			most, err = strconv.Atoi(value)
			s.object.Max = int32(most)
		case "workers cooldown":
			s.object.Cooldown, err = time.ParseDuration(value)
		case "queue counter":
			s.counter, err = strconv.ParseBool(value)
		case "queue inFlight":
			s.hidden = value == "unknown"
		default:
			if key != "trigger" {
				t.Fatalf("setting %s of %s is not known", name, key)
			}
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", key, pair, err)
		}
	}
	if key == "trigger" {
		s.spec = parse(t, value)
	}
}

// parse has the parser of triggers read a trigger, so that a scenario is what a person
// would write.
func parse(t *testing.T, text string) decision.Spec {
	t.Helper()
	catalog := trigger.NewCatalog(
		[]backlog.Connection{{Name: "main", Engine: "simulated", Namespaces: []string{"*"}}},
		[]backlog.Engine{{Name: "simulated", Layouts: []backlog.Layout{{Name: "queue", Queue: "name", Oldest: "exact"}}}},
	)
	metadata := map[string]string{"connection": "main", "queue": "jobs"}
	for pair := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(pair, "=")
		metadata[key] = value
	}
	parsed, err := catalog.Parse("shop", metadata)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Policy.MaxStaleness == 0 {
		parsed.Policy.MaxStaleness = 30 * time.Second
	}
	return parsed.Policy
}

// happen makes an event happen.
func (s *simulation) happen(t *testing.T, event string) {
	t.Helper()
	what, text, _ := strings.Cut(event, " ")
	var n float64
	if text != "" {
		var err error
		if n, err = strconv.ParseFloat(text, 64); err != nil {
			t.Fatalf("%q: %v", event, err)
		}
	}
	switch what {
	case "add":
		s.enqueue(int(n), false)
	case "rate":
		s.rate = n
	case "poison":
		s.enqueue(1, true)
	case "outage":
		s.failing = true
	case "recover":
		s.failing = false
	case "lose":
		s.lose()
	case "restart":
		s.restart()
	case "pause":
		s.paused = true
	case "resume":
		s.paused = false
	default:
		t.Fatalf("event %q is not known", event)
	}
}
