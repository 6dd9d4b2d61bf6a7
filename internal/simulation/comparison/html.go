package comparison

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// style is the whole style of the page: light and dark, without anything from elsewhere. The colours
// can be distinguished without colour vision.
const style = `:root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#57606a;--grid:#d8dee4;--goal:#1b1f24;
--c0:#0072b2;--c1:#d55e00;--c2:#007a5a;--c3:#a63d7c;--c4:#3a7fa6;--c5:#8a6d00;--c6:#5b5b9f;--c7:#555}
@media(prefers-color-scheme:dark){:root{--fg:#e6edf3;--bg:#0d1117;--dim:#9da7b3;--grid:#30363d;--goal:#e6edf3;
--c0:#58b0e8;--c1:#ff8f4a;--c2:#2dc59a;--c3:#e38cc0;--c4:#8ccdf0;--c5:#e0bd3c;--c6:#a9a9f0;--c7:#bbb}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:960px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.6rem 0 .3rem}p{margin:.3rem 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--grid);white-space:nowrap}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--dim)}
.grid{stroke:var(--grid)}.goal{stroke:var(--goal);stroke-dasharray:6 4;stroke-width:1.5}
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.seen{stroke:var(--fg);stroke-dasharray:1 3;stroke-linecap:round}polygon{stroke:none;fill-opacity:.16}
.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
ul.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.4rem 0}
footer{color:var(--dim);font-size:.85rem;margin-top:2rem}`

// colors is the number of colours of style.
const colors = 8

// HTML prints the report as one page. It has no script and asks for nothing.
func (r *Report) HTML(out io.Writer) error {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">` + "\n" +
		`<meta name="viewport" content="width=device-width, initial-scale=1">` + "\n<title>Simulation</title>\n<style>\n" + style)
	for i := range colors {
		fmt.Fprintf(&b, "\n.l%d{stroke:var(--c%d)}.b%d,.k%d{fill:var(--c%d)}.s%d{background:var(--c%d)}", i, i, i, i, i, i, i)
	}
	b.WriteString("\n</style>\n</head>\n<body>\n<main>\n<h1>Simulation</h1>\n")
	for _, line := range r.head() {
		paragraph(&b, line)
	}
	for _, note := range r.Notes {
		paragraph(&b, "Note: "+note)
	}
	r.table(&b)
	r.charts(&b)
	if len(r.Varied) > 0 {
		paragraph(&b, r.otherwise())
		for _, m := range r.varied() {
			r.variedFigure(&b, m)
		}
	}
	fmt.Fprintf(&b, "</main>\n<footer>scaler %s; trace %s; seeds 1 to %d</footer>\n</body>\n</html>\n", escape(r.Version), escape(r.Digest), r.Seeds)
	_, err := io.WriteString(out, b.String())
	return err
}

// escape returns a text as HTML, with every character visible.
func escape(text string) string { return html.EscapeString(backlog.Line(text)) }

func paragraph(b *strings.Builder, text string) {
	b.WriteString("<p>" + escape(text) + "</p>\n")
}

// table writes the numbers.
func (r *Report) table(b *strings.Builder) {
	b.WriteString("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Numbers\">\n<table>\n<thead><tr><th scope=\"col\">Value</th>")
	for i := range r.Results {
		fmt.Fprintf(b, `<th scope="col"><span class="key s%d"></span>%s</th>`, i%colors, escape(r.Results[i].Candidate.Name))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for _, m := range r.measures() {
		fmt.Fprintf(b, `<tr><th scope="row">%s</th>`, escape(m.label))
		for i := range r.Results {
			b.WriteString("<td>" + escape(m.cell(r.Results[i].Spread(m.value))) + "</td>")
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</tbody>\n</table>\n</div>\n")
}

// charts writes the charts.
func (r *Report) charts(b *strings.Builder) {
	goal := r.Options.Goal.Seconds()
	arrivals := overTime(&r.Results[0], colors-1, func(s *simulation.Series) []float64 { return s.Arrivals })
	arrivals.low, arrivals.high = nil, nil
	mostX := 0.0
	if n := len(arrivals.x); n > 0 {
		mostX = arrivals.x[n-1]
	}
	over := func(series func(*simulation.Series) []float64) []line {
		var lines []line
		for i := range r.Results {
			l := overTime(&r.Results[i], i%colors, series)
			lines = append(lines, l)
			if n := len(l.x); n > 0 {
				mostX = max(mostX, l.x[n-1])
			}
		}
		return lines
	}
	waiting := over(func(s *simulation.Series) []float64 { return s.Waiting })
	replicas := over(func(s *simulation.Series) []float64 { return s.Replicas })
	step := r.Results[0].Outcomes[0].Series.Step
	waiting = append(waiting, seen(r.Trace, step, func(s *trace.Seen) int64 { return s.Ready })...)
	replicas = append(replicas, seen(r.Trace, step, func(s *trace.Seen) int64 { return s.Replicas })...)
	oldest := over(func(s *simulation.Series) []float64 { return s.Oldest })
	const along = "time since the start of the trace"
	r.figure(b, chart{title: "Arrivals per second", x: along, lines: []line{arrivals}, mostX: mostX, overTime: true, format: clock}, false)
	r.figure(b, chart{title: "Messages waiting", x: along, lines: waiting, mostX: mostX, overTime: true, format: clock}, true)
	r.figure(b, chart{title: "Replicas", x: along, lines: replicas, mostX: mostX, overTime: true, format: clock}, true)
	r.figure(b, chart{title: "Age of the oldest waiting message, in seconds", x: along, lines: oldest, mostX: mostX, goal: goal, overTime: true, format: clock}, true)
	r.figure(b, chart{title: "How long messages wait, in seconds", x: "part of the messages that wait no longer", lines: r.distributions(), mostX: 100, goal: goal, format: func(x float64) string { return axis(x) + " %" }}, true)
	r.figure(b, chart{title: "Waiting p95 in seconds, by cost", x: "replica-seconds", lines: r.costs(), goal: goal, points: true, format: axis}, true)
	if len(r.Tried) > 0 {
		r.figure(b, chart{title: "What was tried: waiting in seconds, by cost of one run", x: "replica-seconds", lines: r.tried(), goal: goal, points: true, format: axis}, false)
	}
}

// figure writes a chart with its title and its legend.
func (r *Report) figure(b *strings.Builder, c chart, legend bool) {
	fmt.Fprintf(b, "<section>\n<h2>%s</h2>\n", escape(c.title))
	if legend {
		r.legend(b)
		if slices.ContainsFunc(c.lines, func(l line) bool { return l.seen }) {
			b.WriteString("<li>dotted: as it was seen</li>")
		}
		if c.goal > 0 {
			b.WriteString("<li>dashed: the goal</li>")
		}
		b.WriteString("</ul>\n")
	}
	b.WriteString(c.svg() + "\n</section>\n")
}

// legend begins a list of the candidates.
func (r *Report) legend(b *strings.Builder) {
	b.WriteString("<ul class=\"legend\">")
	for i := range r.Results {
		fmt.Fprintf(b, `<li><span class="key s%d"></span>%s</li>`, i%colors, escape(r.Results[i].Candidate.Name))
	}
}

// distributions returns how long messages wait, by percentile.
func (r *Report) distributions() []line {
	var lines []line
	for i := range r.Results {
		l := line{name: r.Results[i].Candidate.Name, color: i % colors}
		for percentile := range len(simulation.Outcome{}.Waits) {
			s := r.Results[i].Spread(func(o *simulation.Outcome) float64 { return o.Waits[percentile].Seconds() })
			l.x = append(l.x, float64(percentile))
			l.y, l.low, l.high = append(l.y, s.Median), append(l.low, s.Low), append(l.high, s.High)
		}
		lines = append(lines, l)
	}
	return lines
}

// costs returns a point for each candidate.
func (r *Report) costs() []line {
	var lines []line
	for i := range r.Results {
		cost := r.Results[i].Spread(func(o *simulation.Outcome) float64 { return o.ReplicaSeconds })
		wait := r.Results[i].Spread(func(o *simulation.Outcome) float64 { return o.P95.Seconds() })
		lines = append(lines, line{name: r.Results[i].Candidate.Name, color: i % colors, x: []float64{cost.Median}, y: []float64{wait.Median}})
	}
	return lines
}

// tried returns a point for each setting of a search.
func (r *Report) tried() []line {
	var lines []line
	for _, t := range r.Tried {
		lines = append(lines, line{name: t.Settings, color: colors - 1, x: []float64{t.Cost}, y: []float64{t.Wait.Seconds()}})
	}
	return lines
}

// clock formats seconds at an axis of time.
func clock(seconds float64) string {
	for _, unit := range []struct {
		seconds float64
		name    string
	}{{86_400, " d"}, {3600, " h"}, {60, " min"}} {
		if seconds >= unit.seconds {
			return axis(seconds/unit.seconds) + unit.name
		}
	}
	return axis(seconds) + " s"
}
