package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The picture has two panels, one above the other, with time to the right. Lengths are in units of the picture.
const (
	width, height = 900, 600
	left, right   = 60, 20
	panelHeight   = 215
	firstTop      = 50
	secondTop     = firstTop + panelHeight + 60
	// ticks is about how many lines a panel has across.
	ticks = 4
)

// colors are those of the contenders, in their order, which can be distinguished without color vision.
func colors() []string {
	return []string{"#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00"}
}

// SVG draws how many messages waited and how many replicas there were, second by second.
func (c Comparison) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	x := left
	for i, k := range c.Contenders {
		color := colors()[i%len(colors())]
		fmt.Fprintf(&b, `<path d="M%d 18h24" stroke="%s" stroke-width="3"/><text x="%d" y="22">%s</text>`+"\n", x, color, x+30, escape(k.Name))
		x += 50 + 7*len(k.Name)
	}
	seconds := 0
	for _, k := range c.Contenders {
		seconds = max(seconds, len(k.Waiting), len(k.Replicas))
	}
	c.panel(&b, firstTop, seconds, "messages waiting", func(k Contender) []float64 { return k.Waiting })
	c.panel(&b, secondTop, seconds, "replicas", func(k Contender) []float64 { return k.Replicas })
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">seconds</text>`+"\n", (left+width-right)/2, secondTop+panelHeight+40)
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws one series of each contender, with its axes.
func (c Comparison) panel(b *strings.Builder, top, seconds int, title string, series func(Contender) []float64) {
	largest := 1.0
	for _, k := range c.Contenders {
		if values := series(k); len(values) > 0 {
			largest = max(largest, slices.Max(values))
		}
	}
	step := stepOf(largest)
	largest = math.Ceil(largest/step) * step
	bottom := top + panelHeight
	toX := func(second int) float64 {
		return left + float64(second)/float64(max(seconds-1, 1))*(width-left-right)
	}
	toY := func(value float64) float64 { return float64(bottom) - value/largest*panelHeight }

	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", left, top-8, escape(title))
	for value := 0.0; value <= largest; value += step {
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.4g</text>`+"\n",
			left, toY(value), width-right, left-8, toY(value)+4, value)
	}
	for second := 0; second < seconds; second += 30 {
		fmt.Fprintf(b, `<path d="M%.1f %dv5" stroke="#888"/><text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n",
			toX(second), bottom, toX(second), bottom+20, second)
	}
	for i, k := range c.Contenders {
		var line strings.Builder
		for second, value := range series(k) {
			fmt.Fprintf(&line, "%.1f,%.1f ", toX(second), toY(value))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", colors()[i%len(colors())], strings.TrimSpace(line.String()))
	}
}

// stepOf is a round distance of the lines across: 1, 2 or 5 times a power of ten.
func stepOf(largest float64) float64 {
	rough := largest / ticks
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, round := range []float64{1, 2, 5} {
		if rough <= round*power {
			return max(round*power, 1)
		}
	}
	return 10 * power
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
