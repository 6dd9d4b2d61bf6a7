// Package report writes what was measured into docs/performance.md and the plots
// that it shows.
package report

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/plot"
	"github.com/backlog-scaler/backlog-scaler/bench/subject"
	"github.com/backlog-scaler/backlog-scaler/internal/reference"
)

// document is the page, from the root of the repository.
const document = "docs/performance.md"

// Write puts results, by the names of their subjects, into the page below root. The
// parts of subjects that did not run stay as they are.
func Write(root, machine string, results map[string]subject.Result) error {
	blocks := []reference.Block{{Name: "machine", Text: machine}}
	for name, result := range results {
		blocks = append(blocks, reference.Block{Name: name, Text: measurement.Table(result.Measurements)})
		if len(result.Curves) == 0 {
			continue
		}
		c, err := collect(result.Curves)
		if err != nil {
			return err
		}
		blocks = append(blocks, reference.Block{Name: name + " curves", Text: c.table()}, reference.Block{Name: "million", Text: c.million()})
		for file, p := range c.plots() {
			if err := os.WriteFile(filepath.Join(root, "docs", file), []byte(p.SVG()), 0o644); err != nil {
				return fmt.Errorf("write a plot: %w", err)
			}
		}
	}
	path := filepath.Join(root, document)
	before, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	after, err := reference.FillBy("performance", string(before), blocks...)
	if err != nil {
		return fmt.Errorf("write %s: %w", document, err)
	}
	if err := os.WriteFile(path, []byte(after), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// plots are the pictures of the curves, by their files.
func (c curves) plots() map[string]plot.Plot {
	const x = "ScaledObjects"
	linear := func(of subject.Curve) plot.Curve {
		end := of.Points[len(of.Points)-1]
		return plot.Curve{Name: "linear", Dashed: true, Points: [][2]float64{
			{float64(of.Points[0].Triggers), end.Value * float64(of.Points[0].Triggers) / float64(end.Triggers)},
			{float64(end.Triggers), end.Value},
		}}
	}
	return map[string]plot.Plot{
		"performance-memory.svg": {
			Title: "Memory of the scaler", X: x, Y: "MB",
			Curves: []plot.Curve{c.line("memory", "scaler"), linear(c["memory"])},
		},
		"performance-cpu.svg": {
			Title: "Processor time in a second", X: x, Y: "ms",
			Curves: []plot.Curve{
				c.line("cpu_idle", "scaler, idle"), c.line("cpu_active", "scaler, 10 % active"),
				c.line("redis_cpu_idle", "Redis, idle"), c.line("redis_cpu_active", "Redis, 10 % active"),
			},
		},
		"performance-latency.svg": {
			Title: "Latency", X: x, Y: "ms",
			Curves: []plot.Curve{c.line("wake_p50", "wake-up, p50"), c.line("getmetrics_p99", "GetMetrics, p99")},
		},
	}
}
