package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ordersTrace and ordersObject are a small trace and a candidate.
const (
	ordersTrace  = "time,arrivals\n0,20\n1m,30\n2m,400\n3m,100\n4m,0\n10m,0\n"
	ordersObject = `kind: ScaledObject
metadata: {name: orders}
spec:
  cooldownPeriod: 60
  maxReplicaCount: 30
  triggers: [{type: external-push, metadata: {connection: main, list: orders, target: "5"}}]
`
)

func TestSimulate(t *testing.T) {
	t.Parallel()
	dir, file := folder(t)
	orders, object := file("orders.csv", ordersTrace), file("orders.yaml", ordersObject)
	timed := file("timed.csv", "time,arrivals,service\n0,20,0.5\n60,0,0\n")
	const header = `{"format":"backlog-trace/1","end":600}` + "\n" + `{"t":0,"arrive":50,"over":300}` + "\n"
	seen, other := file("seen.jsonl", header+`{"t":0,"seen":{"ready":2}}`), file("other.jsonl", header+`{"t":0,"seen":{"ready":900}}`)
	scaled := file("scaled.jsonl", header+`{"t":0,"seen":{"ready":2,"replicas":40}}`)
	config := writeConfig(t, "connections:\n  other: {engine: redis, namespaces: [shop], addresses: [127.0.0.1:1]}\n")
	page := filepath.Join(dir, "page.html")
	for _, tc := range []struct {
		name         string
		args         []string
		code         int
		stdout, want string
	}{
		{"two candidates", []string{orders, "--candidate", object, "--service", "1s/3s"}, 0, "orders  ", ""},
		{"KEDA's own trigger is one of them", []string{orders, "-c", object, "--service", "1s"}, 0, "KEDA's own trigger", ""},
		{"a goal", []string{orders, "-c", object, "--service", "1s", "--slo", "30s"}, 0, "waiting at most 30.0 s", ""},
		{"the trace has the time of work", []string{timed, "-c", object}, 0, "20 messages in 60.0 s", ""},
		{"a page", []string{orders, "-c", object, "--service", "1s", "--html", page}, 0, "replica-seconds", ""},
		{"what was seen", []string{seen, "-c", object, "--service", "1s", "--calibrate"}, 0, "Note: calibration: 2 messages waited in the mean, and ", ""},
		{"what was seen and does not fit", []string{other, "-c", object, "--service", "1s", "--calibrate"}, 0, "DOES NOT FIT", ""},
		{"replicas were seen", []string{scaled, "-c", object, "--service", "1s", "--calibrate"}, 0, "Note: calibration: 40 replicas were there in the mean, and ", ""},
		{"nothing was seen", []string{orders, "-c", object, "--service", "1s", "--calibrate"}, 1, "", "has no lines with what was seen"},
		{"no time of work", []string{orders, "-c", object}, 1, "", "--service: missing"},
		{"no candidate", []string{orders}, 2, "", "--candidate"},
		{"no trace", []string{filepath.Join(dir, "none"), "-c", object, "--service", "1s"}, 1, "", "read trace"},
		{"a trace that is none", []string{object, "-c", object, "--service", "1s"}, 1, "", `column "kind: ScaledObject"`},
		{"a candidate that is none", []string{orders, "-c", orders, "--service", "1s"}, 1, "", "no ScaledObject found"},
		{"a connection", []string{orders, "-c", object, "--service", "1s", "--config", config}, 1, "", `no connection "main"`},
		{"a time", []string{orders, "-c", object, "--service", "quick"}, 2, "", `"quick": want a time such as 500ms`},
		{"seeds", []string{orders, "-c", object, "--service", "1s", "--seeds", "0"}, 2, "", "--seeds=0: want 1 to 1000"},
		{"half of two flags", []string{orders, "-c", object, "--service", "1s", "--cold", "1m"}, 2, "", "--cold and --cold-share"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, out, errText := scaler(append([]string{"simulate"}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.stdout) || !strings.Contains(errText, tc.want) {
				t.Errorf("code %d, want %d; no %q and %q in\n%s\n%s", code, tc.code, tc.stdout, tc.want, out, errText)
			}
		})
	}
}

func TestSimulateWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	orders, object, page := filepath.Join(dir, "orders.csv"), filepath.Join(dir, "orders.yaml"), filepath.Join(dir, "page.html")
	for path, text := range map[string]string{orders: ordersTrace, object: ordersObject} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"simulate", orders, "--candidate", object, "--service", "1s/3s", "--html", page, "--output", "json", "--no-built-in"}
	code, first, errText := scaler(args...)
	if code != 0 {
		t.Fatalf("code %d: %s", code, errText)
	}
	var report struct {
		Candidates []struct {
			Name     string
			Measures map[string]struct{ P5, Median, P95 float64 }
		}
	}
	if err := json.Unmarshal([]byte(first), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Candidates) != 1 || report.Candidates[0].Measures["replicaSeconds"].Median <= 0 {
		t.Errorf("the report is %+v", report)
	}
	before, err := os.ReadFile(page)
	if err != nil || !strings.HasPrefix(string(before), "<!doctype html>") {
		t.Fatalf("the page begins with %.20q, %v", before, err)
	}
	_, second, _ := scaler(args...)
	after, err := os.ReadFile(page)
	if err != nil || first != second || !bytes.Equal(before, after) {
		t.Errorf("the same input did not give the same bytes, %v", err)
	}
}
