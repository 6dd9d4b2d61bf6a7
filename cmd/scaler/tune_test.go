package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	if _, again, _ := scaler(args...); again != out {
		t.Errorf("the same input did not give the same bytes:\n%s\n%s", out, again)
	}
	_, text, _ := strings.Cut(proposed, "\n\n")
	if code, out, errText := scaler("simulate", csv, "--candidate", object, "--candidate", file("proposal.yaml", text), "--service", "1s/3s"); code != 0 || !strings.Contains(out, "proposal") {
		t.Errorf("simulate the proposal: code %d\n%s%s", code, out, errText)
	}
	var result struct {
		Better       bool
		ScaledObject string
		Finalists    []struct{ Checks []struct{ Meets bool } }
		Curve        []struct{ WaitSeconds float64 }
	}
	code, out, errText = scaler(append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(out), &result); code != 0 || err != nil || !result.Better || result.ScaledObject != text || len(result.Curve) == 0 || len(result.Finalists[0].Checks) != 5 {
		t.Errorf("code %d, %v, %+v\n%s", code, err, result, errText)
	}
	page := filepath.Join(dir, "page.html")
	if code, _, errText := scaler(append(args, "--html", page)...); code != 0 {
		t.Fatalf("code %d: %s", code, errText)
	}
	if data, err := os.ReadFile(page); err != nil || !strings.Contains(string(data), ">today</th>") || !strings.Contains(string(data), ">proposal: ") {
		t.Errorf("the page does not have today and the proposal, %v", err)
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
