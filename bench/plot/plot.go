// Package plot draws curves over logarithmic axes, as SVG.
package plot

import (
	"fmt"
	"math"
	"strings"
)

// The size of a plot and its margins, in pixels.
const (
	width, height           = 640, 360
	left, right, top, below = 72, 150, 40, 48
)

// A Plot shows curves over one axis.
type Plot struct {
	Title, X, Y string
	Curves      []Curve
}

// A Curve is a line through points; both coordinates of each are positive.
type Curve struct {
	Name   string
	Points [][2]float64
	// Dashed is a curve to compare with.
	Dashed bool
}

// colours distinguish curves, without full colour vision as well: Okabe and Ito's set,
// https://jfly.uni-koeln.de/color/
func colours() []string { return []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7"} }

// SVG is the plot as a document. The same plot is always the same text.
func (p Plot) SVG() string {
	x, y := p.axes()
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n", escape(p.Title))
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", width, height)
	label(&b, left, 22, "start", p.Title)
	label(&b, (left+width-right)/2, height-10, "middle", p.X)
	label(&b, 8, top-6, "start", p.Y)
	for _, at := range x.ticks() {
		fmt.Fprintf(&b, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#dddddd\"/>\n", x.place(at), top, x.place(at), height-below)
		label(&b, x.place(at), float64(height-below+16), "middle", prefixed(at))
	}
	for _, at := range y.ticks() {
		fmt.Fprintf(&b, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n", left, y.place(at), width-right, y.place(at))
		label(&b, float64(left-6), y.place(at)+4, "end", prefixed(at))
	}
	for i, curve := range p.Curves {
		colour := colours()[i%len(colours())]
		dash := ""
		if curve.Dashed {
			dash = " stroke-dasharray=\"5 4\""
		}
		var points []string
		for _, point := range curve.Points {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x.place(point[0]), y.place(point[1])))
			if !curve.Dashed {
				fmt.Fprintf(&b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x.place(point[0]), y.place(point[1]), colour)
			}
		}
		fmt.Fprintf(&b, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s/>\n", strings.Join(points, " "), colour, dash)
		row := float64(top + 14 + 18*i)
		fmt.Fprintf(&b, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"2\"%s/>\n", width-right+10, row-4, width-right+30, row-4, colour, dash)
		label(&b, float64(width-right+36), row, "start", curve.Name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// axes span all points, to whole powers of ten.
func (p Plot) axes() (x, y axis) {
	x = axis{math.Inf(1), math.Inf(-1), left, width - right}
	y = axis{math.Inf(1), math.Inf(-1), height - below, top}
	for _, curve := range p.Curves {
		for _, point := range curve.Points {
			x.take(point[0])
			y.take(point[1])
		}
	}
	return x, y
}

// An axis spans powers of ten, whose exponents are low to high, over pixels.
type axis struct{ low, high, from, to float64 }

func (a *axis) take(v float64) {
	a.low = min(a.low, math.Floor(math.Log10(v)))
	a.high = max(a.high, math.Ceil(math.Log10(v)))
}

func (a axis) place(v float64) float64 {
	span := max(1, a.high-a.low)
	return a.from + (math.Log10(v)-a.low)/span*(a.to-a.from)
}

func (a axis) ticks() []float64 {
	var ticks []float64
	for exponent := a.low; exponent <= a.high; exponent++ {
		ticks = append(ticks, math.Pow(10, exponent))
	}
	return ticks
}

func label[N int | float64](b *strings.Builder, x, y N, anchor, text string) {
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"#222222\">%s</text>\n", float64(x), float64(y), anchor, escape(text))
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// prefixed is a power of ten with an SI prefix.
func prefixed(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%gk", v/1e3)
	default:
		return fmt.Sprintf("%g", v)
	}
}
