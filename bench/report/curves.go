package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/bench/plot"
	"github.com/backlog-scaler/backlog-scaler/bench/subject"
)

// curves are what grows with the number of triggers, by name.
type curves map[string]subject.Curve

// collect checks that every curve of the page is there.
func collect(all []subject.Curve) (curves, error) {
	c := make(curves)
	for _, curve := range all {
		c[curve.Name] = curve
	}
	for _, name := range []string{
		"memory", "cpu_idle", "cpu_active", "redis_cpu_idle", "redis_cpu_active",
		"redis_commands_idle", "redis_commands_active", "wake_p50", "getmetrics_p99", "getmetrics_cpu",
	} {
		if len(c[name].Points) < 2 {
			return nil, fmt.Errorf("write the growth: %q was not measured", name)
		}
	}
	return c, nil
}

// line is a curve for a plot, under another name. What was too little to measure is left out.
func (c curves) line(name, shown string) plot.Curve {
	curve := plot.Curve{Name: shown}
	for _, p := range c[name].Points {
		if p.Value > 0 {
			curve.Points = append(curve.Points, [2]float64{float64(p.Triggers), p.Value})
		}
	}
	return curve
}

// table has a column for each number of triggers.
func (c curves) table() string {
	head, rule := []string{""}, []string{"---"}
	for _, p := range c["memory"].Points {
		head = append(head, strconv.Itoa(p.Triggers))
		rule = append(rule, "---")
	}
	rows := []string{tableRow(head), tableRow(rule)}
	for _, row := range []struct{ name, title string }{
		{"memory", "memory of the scaler"},
		{"cpu_idle", "processor time of the scaler, idle"},
		{"cpu_active", "the same with a tenth of the queues active"},
		{"redis_cpu_idle", "processor time of Redis, idle"},
		{"redis_cpu_active", "the same with a tenth of the queues active"},
		{"redis_commands_idle", "commands that Redis gets, idle"},
		{"redis_commands_active", "the same with a tenth of the queues active"},
		{"wake_p50", "write to wake-up, p50"},
		{"getmetrics_p99", "GetMetrics by 64 callers without a pause, p99"},
		{"getmetrics_cpu", "processor time of the scaler for a GetMetrics"},
	} {
		line := []string{row.title + ", " + c[row.name].Unit}
		for _, p := range c[row.name].Points {
			line = append(line, fmt.Sprintf("%.3g", p.Value))
		}
		rows = append(rows, tableRow(line))
	}
	return strings.Join(rows, "\n")
}

func tableRow(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }

// largest is the number of triggers at which a curve ends.
func (c curves) largest() float64 {
	points := c["memory"].Points
	return float64(points[len(points)-1].Triggers)
}

// at is the value of a curve at its end.
func (c curves) at(name string) float64 {
	points := c[name].Points
	return points[len(points)-1].Value
}

// million is the arithmetic for a million ScaledObjects: the largest size that was
// measured, as often as it takes.
//
// KEDA asks GetMetrics and IsActive at every poll and at every sync of the HPA.
func (c curves) million() string {
	const (
		objects     = 1e6
		poll, sync  = 30.0, 15.0 // seconds, the defaults of KEDA and of the HPA
		active      = 0.1
		trackedKeys = 1e6 // tracking-table-max-keys of Redis, by default
	)
	scalers := objects / c.largest()
	calls := 2 * c.largest() * (1/poll + active/sync)
	perCall := c.at("getmetrics_cpu")
	share := (c.at("cpu_active") + calls*perCall/1000) / 1000
	var b strings.Builder
	b.WriteString("| | one scaler | all |\n| --- | --- | --- |\n")
	row := func(name, format string, one float64) {
		fmt.Fprintf(&b, "| %s | "+format+" | "+format+" |\n", name, one, one*scalers)
	}
	row("ScaledObjects", "%.0f", c.largest())
	row("scalers", "%.0f", 1)
	row("memory, GB", "%.3g", c.at("memory")/1000)
	row("processor time for reading, cores", "%.3g", c.at("cpu_active")/1000)
	row("calls of KEDA a second", "%.0f", calls)
	row("processor time for reading and calls, cores", "%.3g", share)
	row("commands to brokers a second", "%.0f", c.at("redis_commands_active"))
	row("processor time of brokers, cores", "%.3g", c.at("redis_cpu_active")/1000)
	fmt.Fprintf(&b, "\nThe calls: 2 x %.0f x (1/%.0f s + %.1f/%.0f s) = %.0f a second, because KEDA asks GetMetrics and IsActive every %.0f s, and the HPA of each workload that runs, here a tenth, does so every %.0f s; "+
		"each takes %.0f us of the scaler. One Redis tracks %.0f keys by default (`tracking-table-max-keys`): one for each list here, so a million lists fill the table of one server and are better spread over several.",
		c.largest(), poll, active, sync, calls, poll, sync, perCall, trackedKeys)
	return b.String()
}
