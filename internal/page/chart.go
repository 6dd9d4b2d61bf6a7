package page

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// The size of the small picture in a row of the list, in pixels.
const sparkWidth, sparkHeight = 96, 20

// spark returns the path of the values of a history; empty if there are fewer than two. What is
// unknown is a gap.
func spark(h []inspector.Sample) string {
	if len(h) < 2 {
		return ""
	}
	top := 0.0
	for _, s := range h {
		if s.Value > top { // false for what is unknown
			top = s.Value
		}
	}
	return path(h, func(s inspector.Sample) float64 { return s.Value }, plane{Width: sparkWidth, Height: sparkHeight, Top: max(top, 1)}, false)
}

// A plane maps samples to pixels. The last sample is at its right edge, and the first of a whole
// history at its left one.
type plane struct {
	Left, Over, Width, Height float64
	// Top is the value at the upper edge.
	Top float64
}

func (p plane) x(place, of int) float64 {
	return p.Left + p.Width - float64(of-1-place)*p.Width/(inspector.Samples-1)
}

func (p plane) y(value float64) float64 {
	return p.Over + p.Height - 1 - min(max(value/p.Top, 0), 1)*(p.Height-2)
}

// path returns the path of one number of each sample, as steps or as a line.
func path(h []inspector.Sample, of func(inspector.Sample) float64, on plane, steps bool) string {
	var b strings.Builder
	drawn := false
	for i, s := range h {
		value := of(s)
		if math.IsNaN(value) {
			drawn = false
			continue
		}
		x, y := coord(on.x(i, len(h))), coord(on.y(value))
		switch {
		case !drawn:
			b.WriteString("M" + x + " " + y)
		case steps:
			b.WriteString("H" + x + "V" + y)
		default:
			b.WriteString("L" + x + " " + y)
		}
		drawn = true
	}
	return b.String()
}

// A chart is a picture of a history: the value above, the replicas with their bounds below.
type chart struct {
	ID, Title     string
	Width, Height float64
	// Unit is what the value counts.
	Unit string
	// Note says which bounds are not there, and why; empty if none is missing.
	Note   string
	Panels []panel
	Times  []mark
	// Gaps are the times in which nothing is known.
	Gaps []bar
	// Table has the samples, the newest first.
	Table []inspector.Sample
}

// A panel is one part of a chart.
type panel struct {
	Title  string
	Plane  plane
	Lines  []curve
	Scale  []mark
	Bottom float64
}

// A curve is one line, with its name and its class.
type curve struct{ Name, Class, Path, Last string }

// A mark is a text at a coordinate.
type mark struct {
	At   float64
	Text string
	// Class is empty for an ordinary one.
	Class string
}

const (
	chartWidth, chartLeft      = 820, 56
	panelHeight, panelDistance = 110, 34
	// chartRight is room for the names of the lines.
	chartRight = 140
)

// unbounded says why the history of a trigger without a policy has no bounds of its ScaledObject.
const unbounded = "minReplicaCount and maxReplicaCount are not in it: KEDA does not send them to a scaler."

// demand is what the value of a policy is.
const demand = "what the signals want, in replicas"

// triggerChart returns the chart of a trigger that names a queue; nil if its history has fewer than two
// samples. unit is what its value counts.
func triggerChart(id string, h []inspector.Sample, unit string) *chart {
	c := chartOf(id, h, unit, "more do not help")
	if c != nil {
		c.Note = unbounded
	}
	return c
}

// chartOf returns the chart of a history; nil if it has fewer than two samples. ceiling is the name of
// its upper bound.
func chartOf(id string, h []inspector.Sample, unit, ceiling string) *chart {
	if len(h) < 2 {
		return nil
	}
	c := &chart{ID: id, Title: "The last ten minutes", Width: chartWidth, Unit: unit, Table: slices.Clone(h)}
	slices.Reverse(c.Table)
	c.add(unit, h, line{"value", "line-value", func(s inspector.Sample) float64 { return s.Value }})
	replicas := []line{{"wanted", "line-wants", func(s inspector.Sample) float64 { return s.Wants }}}
	for _, bound := range []line{
		{"floor", "line-floor", func(s inspector.Sample) float64 { return s.Floor }},
		{ceiling, "line-ceiling", func(s inspector.Sample) float64 { return s.Ceiling }},
	} {
		if slices.ContainsFunc(h, func(s inspector.Sample) bool { return !math.IsNaN(bound.of(s)) }) {
			replicas = append(replicas, bound)
		}
	}
	c.add("replicas", h, replicas...)
	c.Height = float64(len(c.Panels))*(panelHeight+panelDistance) + 20
	plane := c.Panels[0].Plane
	for minutes := 10; minutes >= 0; minutes -= 2 {
		text := "now"
		if minutes > 0 {
			text = explain.Age(time.Duration(minutes)*time.Minute) + " ago"
		}
		c.Times = append(c.Times, mark{At: plane.Left + plane.Width*(1-float64(minutes)/10), Text: text})
	}
	c.gaps(h, plane)
	return c
}

// A line is one number of each sample.
type line struct {
	name, class string
	of          func(inspector.Sample) float64
}

func (c *chart) add(title string, h []inspector.Sample, lines ...line) {
	top := 0.0
	for _, l := range lines {
		for _, s := range h {
			if v := l.of(s); v > top {
				top = v
			}
		}
	}
	top = ceilingOf(top)
	p := panel{Title: title, Plane: plane{
		Left: chartLeft, Over: float64(len(c.Panels))*(panelHeight+panelDistance) + 22, Width: chartWidth - chartLeft - chartRight, Height: panelHeight, Top: top,
	}}
	p.Bottom = p.Plane.Over + p.Plane.Height
	for _, l := range lines {
		last := l.of(h[len(h)-1])
		text := unknown
		if !math.IsNaN(last) {
			text = explain.Number(last)
		}
		p.Lines = append(p.Lines, curve{Name: l.name, Class: l.class, Path: path(h, l.of, p.Plane, true), Last: text})
	}
	for _, part := range []float64{0, 0.5, 1} {
		p.Scale = append(p.Scale, mark{At: p.Plane.y(top * part), Text: explain.Number(top * part)})
	}
	c.Panels = append(c.Panels, p)
}

// gaps adds the times in which the value is unknown.
func (c *chart) gaps(h []inspector.Sample, on plane) {
	height := c.Panels[len(c.Panels)-1].Bottom - on.Over
	begin := -1
	for i := range len(h) + 1 {
		gap := i < len(h) && math.IsNaN(h[i].Value) && math.IsNaN(h[i].Wants)
		switch {
		case gap && begin < 0:
			begin = i
		case !gap && begin >= 0:
			from, to := on.x(max(begin-1, 0), len(h)), on.x(min(i, len(h)-1), len(h))
			c.Gaps = append(c.Gaps, bar{X: from, Y: on.Over, Width: max(to-from, 3), Height: height})
			begin = -1
		}
	}
}

// ceilingOf returns a round number that is not below another one, and even so that its half is
// round, too.
func ceilingOf(f float64) float64 {
	if f <= 2 {
		return 2
	}
	unit := math.Pow(10, math.Floor(math.Log10(f)))
	for _, n := range []float64{1, 2, 4, 6, 8, 10} {
		if f <= n*unit {
			return n * unit
		}
	}
	return 10 * unit
}
