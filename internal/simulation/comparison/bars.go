package comparison

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// seen returns what a trace has seen as a line, the largest value of each step; none if it has seen
// nothing. Each value lasts until the next one.
func seen(t *trace.Trace, step time.Duration, value func(*trace.Seen) int64) []line {
	l := line{name: "seen", seen: true}
	last, next := int64(-1), 0
	for at := time.Duration(0); at < t.End; at += step {
		most := last
		for ; next < len(t.Seen) && t.Seen[next].At < at+step; next++ {
			last = value(&t.Seen[next])
			most = max(most, last)
		}
		if most >= 0 {
			l.x, l.y = append(l.x, at.Seconds()), append(l.y, float64(most))
		}
	}
	if len(l.y) == 0 {
		return nil
	}
	return []line{l}
}

// The size of bars, in units of the picture.
const (
	barHeight = 12
	barGap    = 10
	barLeft   = 130
	barRight  = 90
)

// variedFigure writes a measure for each variation and candidate, as bars with their numbers.
func (r *Report) variedFigure(b *strings.Builder, m measure) {
	most := 0.0
	for _, v := range r.Varied {
		for i := range v.Results {
			most = max(most, v.Results[i].Spread(m.value).Median)
		}
	}
	high := len(r.Varied)*(len(r.Results)*barHeight+barGap) + barGap
	title := "Otherwise than recorded: " + m.label
	fmt.Fprintf(b, "<section>\n<h2>%s</h2>\n", escape(title))
	r.legend(b)
	b.WriteString("</ul>\n")
	fmt.Fprintf(b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, high, escape(title))
	top := barGap
	for _, v := range r.Varied {
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, barLeft-8, top+len(r.Results)*barHeight/2+4, escape(v.Name))
		for i := range v.Results {
			r.bar(b, i, top, v.Results[i].Spread(m.value), most, m)
			top += barHeight
		}
		top += barGap
	}
	b.WriteString("</svg>\n</section>\n")
}

// bar writes one bar.
func (*Report) bar(b *strings.Builder, candidate, top int, value simulation.Spread, most float64, m measure) {
	long := value.Median / max(most, 1e-9) * (width - barLeft - barRight)
	fmt.Fprintf(b, `<rect class="k%d" x="%d" y="%d" width="%s" height="%d"/><text x="%s" y="%d">%s</text>`,
		candidate%colors, barLeft, top, decimal(long), barHeight-2, decimal(barLeft+long+6), top+barHeight-2, escape(m.format(value.Median)))
}
