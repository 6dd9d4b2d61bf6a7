package screen

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/backlog-scaler/backlog-scaler/internal/terminal"
)

// A style is how a line is drawn where there is colour.
type style uint8

const (
	plain style = iota
	bold
	dim
	lively
)

// escape begins the style on a terminal; terminal.Reset ends it.
func (s style) escape() string {
	return [...]string{"", terminal.Bold, terminal.Dim, terminal.Green}[s]
}

// A line is one line of text, of any length, in one style.
type line struct {
	text  string
	style style
}

// EventRows is how many events a terminal has room for. The room is always there,
// so that what follows stays in its place.
const EventRows = 8

// lines lays out a snapshot for a terminal of the width, in columns. Only the hints
// may be longer than that: they are there to be copied.
func (s Snapshot) lines(width int) []line {
	var all []line
	add := func(style style, text string) { all = append(all, line{terminal.Truncate(text, width), style}) }
	for i, text := range s.Intro {
		if i == 0 {
			add(bold, text)
			continue
		}
		add(plain, text)
	}
	add(plain, "")
	for _, l := range table(s.Rows, width) {
		add(l.style, l.text)
	}
	add(plain, "")
	for i := range EventRows {
		text := ""
		if i < len(s.Events) {
			text = s.Events[i].String()
		}
		add(dim, text)
	}
	add(plain, "")
	for _, text := range s.Hints {
		all = append(all, line{text: text})
	}
	return all
}

// whyWidth is how much of the last column has to fit for it to be a column; where
// it does not, it is a line of its own below each row.
const whyWidth = 40

// table lays out the rows below a header. All columns but the last are as wide as
// their widest cell.
func table(rows []Row, width int) []line {
	cells := [][]string{{"WORKLOAD", "QUEUE", "WAITING", "IN FLIGHT", "OLDEST", "WANTED", "RUNNING"}}
	for _, r := range rows {
		cells = append(cells, []string{
			r.Workload, r.Queue, r.Waiting.String(), r.InFlight.String(), r.Oldest.String(),
			strconv.Itoa(int(r.Wanted)), strconv.Itoa(int(r.Running)),
		})
	}
	texts := terminal.Align(cells, terminal.Left, terminal.Left, terminal.Right, terminal.Right, terminal.Right, terminal.Right, terminal.Right)
	beside := utf8.RuneCountInString(texts[0])+len(terminal.Gap)+whyWidth <= width
	if beside {
		texts[0] += terminal.Gap + "WHY"
	}
	lines := []line{{texts[0], bold}}
	for i, r := range rows {
		l := line{text: texts[i+1]}
		if r.Wanted > 0 {
			l.style = lively
		}
		if beside {
			l.text += terminal.Gap + r.Why
			lines = append(lines, l)
			continue
		}
		lines = append(lines, l, line{text: terminal.Gap + r.Why})
	}
	return lines
}

// status is the state of all workloads in one line: "emails 43+5 in 4/10" is 43
// messages waiting, 5 in flight, and 4 of 10 replicas running.
func (s Snapshot) status() string {
	var parts []string
	for _, r := range s.Rows {
		messages := r.Waiting.String()
		if r.InFlight.Known {
			messages += "+" + r.InFlight.String()
		}
		parts = append(parts, fmt.Sprintf("%s %s in %d/%d", r.Workload, messages, r.Running, r.Wanted))
	}
	return strings.Join(parts, ", ")
}
