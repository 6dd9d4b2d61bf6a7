package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/report"
	"github.com/backlog-scaler/backlog-scaler/bench/subject"
)

// TestWrite fills a copy of the page itself: it has a place for every subject.
func TestWrite(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	path := filepath.Join(root, "docs", "performance.md")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, page, 0o600); err != nil {
		t.Fatal(err)
	}
	results := make(map[string]subject.Result)
	for _, s := range subject.All() {
		results[s.Name] = subject.Result{Measurements: []measurement.Measurement{measurement.Alone(s.Name+"_time", "ms", measurement.AtMost(5), 4)}}
	}
	growth := results["growth"]
	for _, name := range []string{
		"memory", "cpu_idle", "cpu_active", "redis_cpu_idle", "redis_cpu_active", "redis_commands_idle",
		"redis_commands_active", "wake_p50", "getmetrics_p99", "getmetrics_cpu",
	} {
		growth.Curves = append(growth.Curves, subject.Curve{Name: name, Unit: "ms", Points: []subject.Point{
			{Triggers: 100, Value: 2}, {Triggers: 1000, Value: 20}, {Triggers: 50_000, Value: 1000},
		}})
	}
	results["growth"] = growth
	if err := report.Write(root, "2 cores.", results); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 cores.\n", "| `rpc_time` | 4 ms | - | value<=5 | ok |  |", "| memory of the scaler, ms | 2 | 20 | 1e+03 |",
		// 20 scalers with 1 GB each; 2 x 50,000 x (1/30 + 0.1/15) calls a second.
		"| memory, GB | 1 | 20 |", "| calls of KEDA a second | 4000 | 80000 |",
	} {
		if !strings.Contains(string(written), want) {
			t.Errorf("no %q in\n%s", want, written)
		}
	}
	for _, file := range []string{"performance-memory.svg", "performance-cpu.svg", "performance-latency.svg"} {
		if svg, err := os.ReadFile(filepath.Join(root, "docs", file)); err != nil || !strings.HasPrefix(string(svg), "<svg ") {
			t.Errorf("%s: %.20s, %v", file, svg, err)
		}
	}
	delete(results, "growth")
	results["nothing"] = subject.Result{}
	if err := report.Write(root, "2 cores.", results); err == nil {
		t.Error("a subject that the page has no place for is written")
	}
}
