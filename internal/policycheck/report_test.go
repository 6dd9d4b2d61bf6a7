package policycheck_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/policychecktest"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// report returns what is printed about YAML for the days after a moment.
func report(t *testing.T, text, from string, days int) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	file, err := checker(t).Check([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := policycheck.Report{Files: []policycheck.Named{{Name: "p.yaml", File: file}}, From: at, To: at.AddDate(0, 0, days)}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// scheduled returns a policy with schedules alone.
func scheduled(schedules ...string) string {
	return `apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: billing, namespace: shop}
spec:
  via: Scale
  maxReplicas: 20
  minReplicas: 1
  scaleTargetRef: {kind: StatefulSet, name: billing}
  schedules:
  - ` + strings.Join(schedules, "\n  - ") + "\n"
}

// TestReport: a policy is described, its windows are listed, and what is odd about them is said.
func TestReport(t *testing.T) {
	t.Parallel()
	got := report(t, scheduled(
		`{name: office, timeZone: Europe/Berlin, start: "0 8 * * *", end: "0 18 * * *", floor: 4, ramp: 15m}`,
		`{name: quota, timeZone: Europe/Berlin, start: "0 17 * * *", duration: 2h, ceiling: 3}`,
		`{name: early, timeZone: Europe/Berlin, start: "30 2 * * *", end: "30 3 * * *", ceiling: 9}`,
		`{name: sale, from: "2027-06-01T00:00:00Z", until: "2027-06-02T00:00:00Z", exact: 40}`,
		`{name: over, from: "2026-06-01T00:00:00Z", until: "2026-06-02T00:00:00Z", ceiling: 0}`,
	), "2026-11-26T06:00:00Z", 1)
	want := `p.yaml:1: AutoscalerPolicy shop/billing: valid
  StatefulSet billing has 1 to 20 replicas. The leader of the scaler writes them: nothing else may scale it.
  Nothing is measured: the schedules alone decide.
  Schedule office: at least 4 replicas, from each "0 8 * * *" to the next "0 18 * * *" in Europe/Berlin; the floor rises evenly in the 15m before.
  Schedule quota: at most 3 replicas, for 2h from each "0 17 * * *" in Europe/Berlin.
  Schedule early: at most 9 replicas, from each "30 2 * * *" to the next "30 3 * * *" in Europe/Berlin.
  Schedule sale: exactly 40 replicas, once, from 2027-06-01T00:00:00Z until 2027-06-02T00:00:00Z.
  Schedule over: at most 0 replicas, once, from 2026-06-01T00:00:00Z until 2026-06-02T00:00:00Z.
  windows from Thu 2026-11-26 07:00 CET to Fri 2026-11-27 07:00 CET:
    FROM                      FLOOR   CEILING  OPEN
    Thu 2026-11-26 07:00 CET  -       -        -
    Thu 2026-11-26 07:45 CET  1 to 4  -        office soon
    Thu 2026-11-26 08:00 CET  4       -        office
    Thu 2026-11-26 17:00 CET  4       3        office, quota
    Thu 2026-11-26 18:00 CET  -       3        quota
    Thu 2026-11-26 19:00 CET  -       -        -
    Fri 2026-11-27 02:30 CET  -       9        early
    Fri 2026-11-27 03:30 CET  -       -        -
  CONFLICT: office and quota are open together from Thu 2026-11-26 17:00 CET to Thu 2026-11-26 18:00 CET: the floor of office, 4 and the ceiling of quota, 3. The floor is above the ceiling, so the ceiling counts; priority decides which windows count
  note: exact 40 of sale is above maxReplicas, so 20 counts
  note: ceiling 0 of over is below minReplicas, so 1 counts
  note: sale does not open in this time; it opens at Tue 2027-06-01 02:00 CEST
  note: over is over since Tue 2026-06-02 02:00 CEST
  clock: on Sun 2027-03-28 in Europe/Berlin it goes forward from 02:00 to 03:00
    office: not open then, so nothing changes
    quota: not open then, so nothing changes
    early: Sun 03:00 to Sun 03:30, 30m; its start is left out by the clock, so it opens at the change
  clock: on Sun 2027-10-31 in Europe/Berlin it goes back from 03:00 to 02:00
    office: not open then, so nothing changes
    quota: not open then, so nothing changes
    early: Sun 02:30 to Sun 03:30, 2h where the clock shows 1h; the clock shows its start twice, and it opens at the first
not checked: whether the connections exist and serve these namespaces; --config FILE checks that
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// TestReportOfTheWholePolicy: every part of a policy has its sentence.
func TestReportOfTheWholePolicy(t *testing.T) {
	t.Parallel()
	got := report(t, policychecktest.Whole, "2026-11-26T12:00:00Z", 14)
	for _, want := range []string{
		"p.yaml:2: AutoscalerPolicy shop/billing: valid\n",
		"  Deployment billing has 0 to 100 replicas. KEDA and the HPA write them: its ScaledObject needs a trigger with policy: billing.\n",
		"  Signal backlog is read over the connection orders by list: \"orders\", target: \"20\", at least every 15s. While it cannot be read, its last value counts for 30s, then the replicas stay as they are (Hold).\n",
		"its last value counts for 2m, then it is left out (Ignore).\n",
		"one replica for 40. While it cannot be read, its last value counts for 2m, then it counts as 0 (Value).\n",
		"  Wanted is max(need.backlog, need.booked) * (latency > 2 ? 1.5 : 1), rounded up.\n",
		"  Schedule black-friday: exactly 40 replicas, once, from 2026-11-26T23:00:00Z until 2026-11-29T23:00:00Z; priority 10.\n",
		"  Limiter database: while latency > 3, and then until latency < 1: not more than current * 0.8, computed when it begins.\n",
		"  Limiter failing: while booked > 500: no growth.\n",
		"  Growth: steps of 4 pods or 50 % of the replicas, the larger of the two, at most one in 30s, the first of 1; each waits until 100 % of the replicas are available, and is reported as stuck after 10m.\n",
		"  Fall: steps of 2 pods or 10 % of the replicas, the larger of the two, at most one in 1m; the largest wanted number of the last 5m counts.\n",
		"  Jump: a workload that starts gets all its replicas at once.\n",
		"  Busy pods: replicas fall only by idle ones, for up to 10m.\n",
		"    Mon 2026-11-30 06:45 CET  1 to 10  -        office soon\n",
		"overlap: night and black-friday are open together from Fri 2026-11-27 00:00 CET to Fri 2026-11-27 06:00 CET, and 3 more times: ",
		"    night: Sat 22:00 to Sun 07:00, 8h where the clock shows 9h\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestReportIsBounded: a window that opens each minute fills no terminal.
func TestReportIsBounded(t *testing.T) {
	t.Parallel()
	got := report(t, scheduled(`{name: minutes, timeZone: UTC, start: "*/2 * * * *", duration: 1m, floor: 2}`), "2026-11-26T06:00:00Z", 300)
	if lines := strings.Count(got, "\n"); lines > 220 || !strings.Contains(got, "... and more") {
		t.Errorf("%d lines:\n%s", lines, got)
	}
}

// TestOthers: other objects are named and not checked, lists are looked into, and what a file brings
// into a terminal is made visible.
func TestOthers(t *testing.T) {
	t.Parallel()
	office := `{name: office, timeZone: UTC, start: "0 8 * * *", duration: 1h, floor: 2}`
	got := report(t, "# nothing\n---\n"+scheduled(office)+`---
kind: ScaledObject
metadata: {name: "billing\u001b[31m"}
---
kind: AutoScalrPolicy
---
apiVersion: v1
kind: List
items:
- apiVersion: backlog-scaler.github.io/v1alpha1
  kind: AutoscalerPolicy
  metadata: {name: billing, namespace: shop, resourceVersion: "7"}
  spec: {via: Scale, maxReplicas: 2, scaleTargetRef: {name: other}, schedules: [`+office+`]}
  status: {reason: office}
- apiVersion: backlog-scaler.github.io/v1alpha1
  kind: AutoscalerPolicy
  metadata: {name: second, namespace: shop}
  spec: {via: Scale, maxReplicas: 2, scaleTargetRef: {name: other}, schedules: [`+office+`]}
`, "2026-11-26T06:00:00Z", 1)
	for _, want := range []string{
		`not checked: ScaledObject billing\x1b[31m`, "not checked: AutoScalrPolicy (did you mean AutoscalerPolicy?)\n",
		"note: an earlier policy is also called shop/billing", "CONFLICT: another policy has the same target, Deployment other",
		"AutoscalerPolicy shop/second: valid\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestConnections: with a configuration signals are checked against its connections.
func TestConnections(t *testing.T) {
	t.Parallel()
	known := trigger.NewCatalog([]backlog.Connection{
		{Name: "orders", Engine: "redis", Namespaces: []string{"shop"}},
		{Name: "metrics", Engine: "prometheus", Namespaces: []string{"other"}},
	}, engines.All())
	c, err := policycheck.New(engines.All(), known, "shop")
	if err != nil {
		t.Fatal(err)
	}
	file, err := c.Check([]byte(strings.ReplaceAll(policychecktest.Whole, "connection: calendar", "connection: order")))
	if err != nil {
		t.Fatal(err)
	}
	got := file.Policies[0].Mistakes
	for i, want := range []string{
		`signals[latency].connection: not available: namespace "shop" has no connection "metrics" (there are: orders)`,
		`signals[booked].connection: not available: namespace "shop" has no connection "order", did you mean "orders"? (there are: orders)`,
		`signals[errors].connection: not available: namespace "shop" has no connection "logs" (there are: orders)`,
	} {
		if len(got) != 3 || !strings.HasPrefix(got[i].Text, want) {
			t.Errorf("mistakes %+v, want %q", got, want)
		}
	}
}

// TestNoYAML: a file that is no YAML is an error with its line.
func TestNoYAML(t *testing.T) {
	t.Parallel()
	if _, err := checker(t).Check([]byte("a: [1\nb: 2\n")); err == nil || !strings.Contains(err.Error(), "parse YAML") {
		t.Errorf("error %v", err)
	}
}
