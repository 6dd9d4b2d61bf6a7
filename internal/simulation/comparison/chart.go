package comparison

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
)

// The size of a chart, in units of the picture.
const (
	width, height            = 860, 230
	left, right, top, bottom = 62, 26, 12, 34
	plotWidth                = width - left - right
	plotHeight               = height - top - bottom
	ticks                    = 4
)

// A chart is a picture with lines.
type chart struct {
	title, x string
	// mostX and mostY are the ends of the axes; zero is what the lines need.
	mostX, mostY float64
	lines        []line
	// goal is a line across; zero is none.
	goal float64
	// points are drawn in place of lines.
	points bool
	// overTime reports that the horizontal axis is time in seconds.
	overTime bool
	format   func(float64) string
}

// A line is a curve, with a band around it if there are as many low and high values.
type line struct {
	name  string
	color int
	// seen reports that it was observed, and not simulated.
	seen         bool
	x            []float64
	y, low, high []float64
}

// svg draws the chart.
func (c *chart) svg() string {
	mostX, mostY := c.mostX, c.mostY
	for _, l := range c.lines {
		for i := range l.y {
			mostX, mostY = max(mostX, l.x[i]), max(mostY, l.y[i])
			if len(l.high) == len(l.y) {
				mostY = max(mostY, l.high[i])
			}
		}
	}
	mostY = max(mostY, c.goal*1.05)
	stepX, stepY := c.step(mostX), stepOf(mostY, ticks)
	mostY = max(math.Ceil(mostY/stepY)*stepY, stepY)
	mostX = max(mostX, stepX/1000)
	at := func(x, y float64) string {
		return decimal(left+x/mostX*plotWidth) + "," + decimal(top+plotHeight-y/mostY*plotHeight)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, escape(c.title))
	for y := 0.0; y <= mostY*1.0001; y += stepY {
		row := top + plotHeight - y/mostY*plotHeight
		fmt.Fprintf(&b, `<path class="grid" d="M%d %sH%d"/><text x="%d" y="%s" text-anchor="end">%s</text>`,
			left, decimal(row), width-right, left-6, decimal(row+4), escape(axis(y)))
	}
	for x := 0.0; x <= mostX*1.0001; x += stepX {
		column := left + x/mostX*plotWidth
		fmt.Fprintf(&b, `<text x="%s" y="%d" text-anchor="middle">%s</text>`, decimal(column), height-bottom+16, escape(c.format(x)))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, width-right, height-3, escape(c.x))
	if c.goal > 0 {
		row := decimal(top + plotHeight - c.goal/mostY*plotHeight)
		fmt.Fprintf(&b, `<path class="goal" d="M%d %sH%d"/>`, left, row, width-right)
	}
	for _, l := range c.lines {
		c.draw(&b, l, at)
	}
	b.WriteString("</svg>")
	return b.String()
}

// draw draws a line.
func (c *chart) draw(b *strings.Builder, l line, at func(x, y float64) string) {
	if c.points {
		for i := range l.y {
			place := strings.Split(at(l.x[i], l.y[i]), ",")
			fmt.Fprintf(b, `<circle class="k%d" cx="%s" cy="%s" r="5"><title>%s</title></circle>`, l.color, place[0], place[1], escape(l.name))
		}
		return
	}
	if len(l.high) == len(l.y) && len(l.y) > 0 {
		var band []string
		for i := range l.high {
			band = append(band, at(l.x[i], l.high[i]))
		}
		for i := range slices.Backward(l.low) {
			band = append(band, at(l.x[i], l.low[i]))
		}
		fmt.Fprintf(b, `<polygon class="b%d" points="%s"/>`, l.color, strings.Join(band, " "))
	}
	var curve []string
	for i := range l.y {
		curve = append(curve, at(l.x[i], l.y[i]))
	}
	class := "l" + strconv.Itoa(l.color)
	if l.seen {
		class = "seen"
	}
	fmt.Fprintf(b, `<polyline class="%s" points="%s"/>`, class, strings.Join(curve, " "))
}

// decimal formats a coordinate.
func decimal(value float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(value, 'f', 1, 64), ".0")
}

// axis formats a value at an axis, with four digits.
func axis(value float64) string {
	if value >= 1000 {
		return strconv.FormatFloat(value, 'f', 0, 64)
	}
	return strconv.FormatFloat(value, 'g', 4, 64)
}

// step returns the distance of the numbers at the horizontal axis: a usual length of time where it is
// of time.
func (c *chart) step(most float64) float64 {
	if c.overTime {
		for _, seconds := range []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800} {
			if most/seconds <= 2*ticks {
				return seconds
			}
		}
	}
	return stepOf(most, 2*ticks)
}

// stepOf returns a round distance of so many lines: 1, 2 or 5 times a power of ten.
func stepOf(largest float64, lines int) float64 {
	if largest <= 0 {
		return 1
	}
	rough := largest / float64(lines)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, round := range []float64{1, 2, 5} {
		if rough <= round*power {
			return round * power
		}
	}
	return 10 * power
}

// overTime returns the line of a series of a candidate: the median of the seeds, and the band between
// the 5th and the 95th percentile.
func overTime(r *simulation.Result, color int, series func(*simulation.Series) []float64) line {
	l := line{name: r.Candidate.Name, color: color}
	step, longest := 0.0, 0
	for i := range r.Outcomes {
		s := &r.Outcomes[i].Series
		step, longest = s.Step.Seconds(), max(longest, len(series(s)))
	}
	for at := range longest {
		values := make([]float64, 0, len(r.Outcomes))
		for i := range r.Outcomes {
			if own := series(&r.Outcomes[i].Series); at < len(own) {
				values = append(values, own[at])
			}
		}
		spread := simulation.SpreadOf(values)
		l.x = append(l.x, float64(at)*step)
		l.y, l.low, l.high = append(l.y, spread.Median), append(l.low, spread.Low), append(l.high, spread.High)
	}
	return l
}
