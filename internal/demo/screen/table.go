package screen

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A style is how a line is drawn where there is colour.
type style uint8

const (
	plain style = iota
	bold
	dim
	lively
)

// escape begins the style on a terminal; reset ends it.
func (s style) escape() string { return [...]string{"", "\x1b[1m", "\x1b[2m", "\x1b[32m"}[s] }

const reset = "\x1b[0m"

// A line is one line of text, of any length, in one style.
type line struct {
	text  string
	style style
}

// lines lays out a snapshot for a terminal of the width, in columns. Only the hints
// may be longer than that: they are there to be copied.
func (s Snapshot) lines(width int) []line {
	var all []line
	add := func(style style, text string) { all = append(all, line{cut(text, width), style}) }
	for i, text := range s.Intro {
		if i == 0 {
			add(bold, text)
			continue
		}
		add(plain, text)
	}
	add(plain, "")
	for i, text := range table(s.Rows) {
		switch {
		case i == 0:
			add(bold, text)
		case s.Rows[i-1].Wanted > 0:
			add(lively, text)
		default:
			add(plain, text)
		}
	}
	add(plain, "")
	for _, e := range s.Events {
		add(dim, e.String())
	}
	add(plain, "")
	for _, text := range s.Hints {
		all = append(all, line{text: text})
	}
	return all
}

// table lays out the rows below a header. All columns but the last are as wide as
// their widest cell.
func table(rows []Row) []string {
	cells := [][]string{{"WORKLOAD", "QUEUE", "WAITING", "IN FLIGHT", "OLDEST", "WANTED", "RUNNING", "WHY"}}
	for _, r := range rows {
		cells = append(cells, []string{
			r.Workload, r.Queue, r.Waiting.String(), r.InFlight.String(), r.Oldest.String(),
			fmt.Sprint(r.Wanted), fmt.Sprint(r.Running), r.Why,
		})
	}
	widths := make([]int, len(cells[0]))
	for _, row := range cells {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var lines []string
	for _, row := range cells {
		for i, cell := range row {
			switch numeric := 2 <= i && i <= 6; {
			case numeric:
				row[i] = leftPad(cell, widths[i])
			default:
				row[i] = pad(cell, widths[i])
			}
		}
		lines = append(lines, strings.TrimRight(strings.Join(row, "  "), " "))
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

// cut shortens text to the width.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string(slices.Concat([]rune(text)[:max(width-1, 0)], []rune("…")))
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func leftPad(text string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))) + text
}
