package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policyOfOrders is a policy that asks for more than is needed.
const policyOfOrders = `apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: orders}
spec:
  via: KEDA
  scaleTargetRef: {name: orders}
  maxReplicas: 30
  signals: [{name: backlog, connection: main, trigger: {list: orders, inFlightList: held, target: "1"}}]
  schedules: [{name: night, timeZone: UTC, start: "0 0 * * *", duration: 1h, floor: 4}]
  steps: {down: {percent: 10, period: 1m, hold: 5m}}
---
kind: ScaledObject
metadata: {name: orders}
spec:
  cooldownPeriod: 60
  maxReplicaCount: 30
  triggers: [{type: external-push, metadata: {policy: orders}}]
`

// TestTune: what is proposed can be simulated, and the same input gives the same bytes.
func TestTune(t *testing.T) {
	t.Parallel()
	dir, file := folder(t)
	csv := file("orders.csv", "time,arrivals\n0,20\n2m,400\n4m,50\n10m,20\n12m,500\n14m,10\n20m,20\n22m,400\n24m,10\n30m,0\n")
	object := file("orders.yaml", strings.Replace(ordersObject, `target: "5"`, `target: "1", inFlightList: held`, 1))
	args := []string{"tune", csv, "--candidate", object, "--slo", "p90=1m", "--service", "1s/3s", "--all", "--points", "27"}
	code, out, errText := scaler(args...)
	_, proposed, found := strings.Cut(out, "\nProposal: ")
	if code != 0 || !found || !strings.Contains(out, "the trace is shorter than two days") || !strings.Contains(out, "start-up x2") {
		t.Fatalf("code %d\n%s%s", code, out, errText)
	}
	_, text, _ := strings.Cut(proposed, "\n\n")
	if code, out, errText := scaler("simulate", csv, "--candidate", object, "--candidate", file("proposal.yaml", text), "--service", "1s/3s"); code != 0 || !strings.Contains(out, "proposal") {
		t.Errorf("simulate the proposal: code %d\n%s%s", code, out, errText)
	}
	var result struct {
		Better    bool
		YAML      string
		Finalists []struct{ Checks []struct{ Meets bool } }
		Curve     []struct{ WaitSeconds float64 }
	}
	page := filepath.Join(dir, "page.html")
	// The same search gives the same proposal again.
	code, out, errText = scaler(append(args, "--output", "json", "--html", page)...)
	if err := json.Unmarshal([]byte(out), &result); code != 0 || err != nil || !result.Better || result.YAML != text || len(result.Curve) == 0 || len(result.Finalists[0].Checks) != 5 {
		t.Errorf("code %d, %v, %+v\n%s", code, err, result, errText)
	}
	if data, err := os.ReadFile(page); err != nil || !strings.Contains(string(data), ">today</th>") || !strings.Contains(string(data), ">proposal: ") {
		t.Errorf("the page does not have today and the proposal, %v", err)
	}
	policy := file("policy.yaml", policyOfOrders)
	code, out, errText = scaler("tune", csv, "--candidate", policy, "--slo", "p90=1m", "--service", "1s/3s", "--all", "--points", "18")
	_, text, _ = strings.Cut(out, ".\n\napiVersion: backlog-scaler.github.io")
	if code != 0 || !strings.Contains(text, "kind: ScaledObject") || !strings.Contains(out, "schedules are those of Monday 2026-01-05, 00:00 UTC") {
		t.Errorf("tune a policy: code %d\n%s%s", code, out, errText)
	}
	policy = file("proposed.yaml", "apiVersion: backlog-scaler.github.io"+text)
	if code, out, errText := scaler("simulate", csv, "--candidate", policy, "--service", "1s/3s"); code != 0 || !strings.Contains(out, "KEDA's own trigger") {
		t.Errorf("simulate the proposed policy: code %d\n%s%s", code, out, errText)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--slo", "30s"}, 2, `"30s": want a percentile from p1 to p99 and a time, such as p95=30s`},
		{[]string{"--slo", "p95=soon"}, 2, "want a time of at most 24h"},
		{[]string{"--slo", "p95=30s", "--points", "1000"}, 2, "--points=1000: want 1 to 256"},
		{[]string{"--slo", "p95=30s"}, 1, "--service: missing"},
	} {
		if code, _, errText := scaler(append([]string{"tune", csv, "--candidate", object}, tc.args...)...); code != tc.code || !strings.Contains(errText, tc.want) {
			t.Errorf("%v: code %d, %q, want %d and %q", tc.args, code, errText, tc.code, tc.want)
		}
	}
}
