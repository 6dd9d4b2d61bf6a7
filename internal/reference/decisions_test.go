package reference

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// noon is when the examples of decisions are decided.
func noon() time.Time { return time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC) }

// A decided is an example of a decision.
type decided struct {
	what, keys, known string
	seen              backlog.Observation
	lastReported      float64
}

// waits is a reading of n messages, some seconds ago.
func waits(ago time.Duration, n int64) backlog.Reading {
	return backlog.Reading{At: noon().Add(-ago), Ready: n}
}

// arrives is what is known of a queue in which n messages wait and to which ten more
// come each second.
func arrives(n int64, age time.Duration) backlog.Observation {
	var seen backlog.Observation
	for second := range 61 {
		r := waits(time.Duration(60-second)*time.Second, n)
		r.Enqueued = backlog.Exactly(int64(10 * second))
		r.Oldest = backlog.Age{Since: noon().Add(-age), Kind: backlog.AgeExact}
		seen.Past, seen.Latest = append(seen.Past, seen.Latest), r
	}
	seen.Past = seen.Past[1:]
	return seen
}

// queues is a reading of several.
func queues(parts ...backlog.Part) backlog.Observation {
	r := backlog.Aggregate(parts)
	r.At = noon()
	return backlog.Observation{Latest: r}
}

func examplesOfDecisions() []decided {
	work := backlog.Reading{At: noon(), Ready: 23, InFlight: backlog.Exactly(4)}
	limited := work
	limited.MaxUseful = 5
	aged := work
	aged.Oldest = backlog.Age{Since: noon().Add(-90 * time.Second), Kind: backlog.AgeExact}
	two := queues(backlog.Part{Queue: "critical", Reading: backlog.Reading{Ready: 20}}, backlog.Part{Queue: "low", Reading: backlog.Reading{Ready: 10}})
	paused := backlog.Reading{At: noon(), Ready: 40, InFlight: backlog.Exactly(2), Paused: true}
	one := func(r backlog.Reading) backlog.Observation { return backlog.Observation{Latest: r} }
	return []decided{
		{what: "messages per replica", keys: "target=5", known: "23 ready, 4 in flight", seen: one(work)},
		{what: "a limit of the engine", keys: "target=5", known: "the same, 5 workers at most", seen: one(limited)},
		{what: "drain time", keys: "drainTime=60s throughput=2", known: "1,200 ready, 10 more each second", seen: arrives(1200, time.Second)},
		{what: "drain time and age", keys: "drainTime=60s throughput=2 maxAge=30s", known: "the same, the oldest waits for 45 s", seen: arrives(1200, 45*time.Second)},
		{what: "keeping up", keys: "drainTime=60s throughput=2", known: "0 ready, 10 more each second", seen: arrives(0, 0)},
		{what: "age", keys: "target=5 maxAge=1m", known: "23 ready, 4 in flight, the oldest waits for 90 s", seen: one(aged)},
		{what: "hold", keys: "target=5 hold=1m", known: "4 ready, 30 ready 20 s ago", seen: backlog.Observation{
			Past: []backlog.Reading{waits(20*time.Second, 30)}, Latest: waits(0, 4),
		}},
		{what: "work that does not count", keys: "target=5 count=ready", known: "4 in flight", seen: one(backlog.Reading{At: noon(), InFlight: backlog.Exactly(4)})},
		{what: "paused", keys: "target=5", known: "40 ready, 2 in flight, paused", seen: one(paused)},
		{what: "weights", keys: "target=5 weights=critical=3", known: "20 ready in critical, 10 in low", seen: two},
		{what: "the largest queue", keys: "target=5 weights=critical=3 combine=max", known: "20 ready in critical, 10 in low", seen: two},
		{what: "deadband", keys: "target=50", known: "104 ready, 100 last reported", seen: one(waits(0, 104)), lastReported: 100},
		{what: "minimum", keys: "target=5 minReplicas=3", known: "1 ready", seen: one(waits(0, 1))},
		{what: "maximum", keys: "target=5 maxReplicas=4", known: "99 ready", seen: one(waits(0, 99))},
	}
}

// decisions is a table of worked examples, as the code works them.
func decisions(t *testing.T) string {
	t.Helper()
	catalog := trigger.NewCatalog(
		[]backlog.Connection{{Name: "main", Engine: "none", Namespaces: []string{"*"}}},
		[]backlog.Engine{{Name: "none", Layouts: []backlog.Layout{{Name: "queue", Patterns: "all", Oldest: "exact"}}}},
	)
	rows := table{{"example", "keys", "known", "value", "target", "replicas", "how"}}
	for _, example := range examplesOfDecisions() {
		metadata := map[string]string{"connection": "main", "queue": "critical,low", "maxStaleness": "30s"}
		var keys []string
		for pair := range strings.FieldsSeq(example.keys) {
			key, value, _ := strings.Cut(pair, "=")
			metadata[key] = value
			keys = append(keys, code(key+": "+value))
		}
		if len(example.seen.Latest.Parts) == 0 {
			metadata["queue"] = "jobs"
		}
		parsed, err := catalog.Parse("shop", metadata)
		if err != nil {
			t.Fatal(err)
		}
		d, err := decision.Decide(&parsed.Policy, &example.seen, example.lastReported, noon())
		if err != nil {
			t.Fatal(err)
		}
		replicas := fmt.Sprint(math.Ceil(d.Value / d.Target))
		if d.Value == 0 && d.Active {
			replicas = "1, active"
		}
		rows = append(rows, []string{
			example.what, strings.Join(keys, ", "), example.known, fmt.Sprint(d.Value), fmt.Sprint(d.Target), replicas, how(d),
		})
	}
	return rows.String()
}

// how tells the steps of a decision.
func how(d decision.Decision) string {
	var steps []string
	for _, step := range d.Steps {
		if step.Before == step.After {
			steps = append(steps, code(string(step.Reason)))
			continue
		}
		steps = append(steps, fmt.Sprintf("%v to %v %s", step.Before, step.After, code(string(step.Reason))))
	}
	return strings.Join(steps, ", ")
}

// reasons is a table of all reasons.
func reasons() string {
	rows := table{{"reason", "what it means"}}
	for _, r := range decision.Reasons() {
		rows = append(rows, []string{code(string(r.Reason)), cell(r.Doc)})
	}
	return rows.String()
}

// tolerance is a table of what the HPA makes of a value for n replicas.
func tolerance(t *testing.T) string {
	t.Helper()
	rows := table{{"replicas now", "the value asks for", "ratio", "the HPA wants"}}
	for _, c := range []struct{ now, asked int32 }{{1, 2}, {9, 10}, {10, 11}, {10, 12}, {20, 19}, {20, 18}, {20, 17}, {50, 55}, {50, 56}, {11, 1}} {
		autoscaler := hpa.New(hpa.Spec{Min: 1, Max: 100})
		metric := hpa.Metric{Name: "queue", Value: hpa.Thousandths(5 * float64(c.asked)), Target: hpa.Thousandths(5)}
		wanted := autoscaler.Sync(noon(), hpa.Steady(c.now), []hpa.Metric{metric}).Wanted
		rows = append(rows, []string{
			strconv.Itoa(int(c.now)), strconv.Itoa(int(c.asked)), fmt.Sprintf("%.2f", float64(c.asked)/float64(c.now)), strconv.Itoa(int(wanted)),
		})
	}
	return rows.String()
}

// stories returns the outcomes of some scenarios of the tests of decision.
func stories(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"keep-up", "keep-up-target", "trickle", "long-jobs", "outage", "restart"} {
		text, err := os.ReadFile(filepath.Join(root, "internal", "decision", "testdata", "scenarios", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		var comment, rest strings.Builder
		for line := range strings.Lines(string(text)) {
			if words, found := strings.CutPrefix(line, "# "); found {
				comment.WriteString(words)
			} else {
				rest.WriteString(line)
			}
		}
		b.WriteString(comment.String() + "\n```text\n" + rest.String() + "```\n\n")
	}
	return b.String()
}
