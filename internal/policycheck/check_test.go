package policycheck_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/policychecktest"
)

// checker returns a Checker without a configuration.
func checker(t *testing.T) *policycheck.Checker {
	t.Helper()
	c, err := policycheck.New(engines.All(), nil, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mistakesIn returns the mistakes of all policies in YAML, each with its line.
func mistakesIn(t *testing.T, text string) []string {
	t.Helper()
	file, err := checker(t).Check([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range file.Policies {
		for _, m := range file.Policies[i].Mistakes {
			all = append(all, fmt.Sprintf("%d: %s", m.Line, m.Text))
		}
	}
	return all
}

// TestMistakes: everything that an API server refuses is one mistake, with its line.
func TestMistakes(t *testing.T) {
	t.Parallel()
	if got := mistakesIn(t, policychecktest.Whole); len(got) > 0 {
		t.Errorf("the whole policy has mistakes: %q", got)
	}
	if got := mistakesIn(t, policychecktest.Nothing); len(got) != 1 || !strings.Contains(got[0], "want a signal or a schedule") {
		t.Errorf("a policy of nothing has the mistakes %q", got)
	}
	for _, mistake := range policychecktest.Mistakes() {
		t.Run(mistake.Name, func(t *testing.T) {
			t.Parallel()
			// The policy begins in the second line.
			got := mistakesIn(t, mistake.Policy())
			if len(got) != 1 || !strings.HasPrefix(got[0], mistake.Check) {
				t.Errorf("the mistakes are\n%s\nwant one that begins with\n%s", strings.Join(got, "\n"), mistake.Check)
			}
		})
	}
}

// TestSeveralMistakes: all of them are found at once, in the order of their lines.
func TestSeveralMistakes(t *testing.T) {
	t.Parallel()
	got := mistakesIn(t, `
apiVersion: backlog-scaler.github.io/v1beta1
kind: AutoscalerPolicy
metadata: {name: Billing}
spec:
  via: Keda
  maxReplicas: "5"
  scaleTargetRef: {name: billing, nam: x}
  signals:
  - name: backlog
    connection: orders
    trigger:
      lst: orders
      target: "20"
  formula: need.backlgo
  schedules:
  - {name: office, timeZone: Europe/Berln, start: 0 25 * * *, end: 0 20 * * *, floor: 2}
  - {name: night, timeZone: UTC, start: 0 22 * * *, duration: 1d, ceiling: 2, ramp: 5}
  - {name: lunch, timeZone: UTD, start: 0 12 31 2 *, end: 0 13 * * 8, floor: 2, ceiling: 1, ramp: 25h}
  limiters:
  - {name: database, when: backlog >, until: backlgo < 1, action: Ceiling, ceiling: currnt - 1}
---
kind: AutoscalerPolicy
apiVersion: backlog-scaler.github.io/v1alpha1
spec: [1]
`)
	want := []string{
		`2: apiVersion "backlog-scaler.github.io/v1beta1": want backlog-scaler.github.io/v1alpha1`,
		`4: metadata.name "Billing": want lower-case letters, digits, dashes and dots, a letter or digit at both ends`,
		`6: via "Keda": want one of KEDA, Scale; did you mean KEDA?`,
		`7: maxReplicas "5": want a whole number 1 or more, without quotes`,
		`8: scaleTargetRef.nam: unknown field; did you mean name?`,
		`12: signals[backlog].trigger: no key names the queue, want one of list, stream, sortedSet, set, hash, sidekiq, resque, laravel, bullmq, beequeue, asynq, celery, rq, dramatiq, arq, taskiq; lst: unknown key, did you mean "list"?`,
		`15: formula: unknown name need.backlgo at 1:1, want one of backlog, need.backlog, current, ready; did you mean need.backlog?`,
		`17: schedule "office": start "0 25 * * *": hour "25": want *, or 0-23, with lists such as 1,3, ranges such as 1-5 and steps such as */2`,
		`17: schedule "office": timeZone "Europe/Berln": unknown, want a zone of the IANA database such as Europe/Berlin; did you mean Europe/Berlin?`,
		`18: schedules[night].duration "1d": want a length of time such as 30s, 5m or 1h30m; write 24h`,
		`18: schedules[night].ramp 5: want text; write it in quotes: "5"`,
		`19: schedule "lunch": end "0 13 * * 8": day of the week "8": want *, or 0-6 or sun-sat, where 0 is Sunday, with lists such as 1,3, ranges such as 1-5 and steps such as */2`,
		`19: schedule "lunch": floor 2: want at most the ceiling, 1`,
		`19: schedule "lunch": ramp 25h0m0s: want 0s to 24h`,
		`19: schedule "lunch": start "0 12 31 2 *": matches no day of any year, want days that exist`,
		`19: schedule "lunch": timeZone "UTD": unknown, want a zone of the IANA database such as Europe/Berlin; did you mean UTC?`,
		`21: limiter "database": ceiling: unknown name currnt at 1:1, want one of backlog, need.backlog, current, ready; did you mean current?`,
		`21: limiter "database": until: unknown name backlgo at 1:1, want one of backlog, need.backlog, current, ready; did you mean backlog?`,
		`21: limiter "database": when: unexpected token EOF at 1:9`,
		`23: metadata.name: missing, want a name`,
		`25: spec [...]: want keys with values`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

// TestBusySignals: what the scaler finds in busyPods is found here too, with the line of the field.
func TestBusySignals(t *testing.T) {
	t.Parallel()
	for trigger, want := range map[string]string{
		`list: orders, target: "20"`:                           "15: busyPods.signal \"backlog\": the layout list does not show which workers are busy",
		`stream: orders, consumerGroup: billing, target: "20"`: "",
	} {
		got := mistakesIn(t, `
apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: billing}
spec:
  via: KEDA
  maxReplicas: 5
  scaleTargetRef: {name: billing}
  signals:
  - name: backlog
    connection: orders
    trigger: {`+trigger+`}
  busyPods:
    from: Queue
    signal: backlog
`)
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("%s: the mistakes are %q, want %q", trigger, got, want)
		}
	}
}
