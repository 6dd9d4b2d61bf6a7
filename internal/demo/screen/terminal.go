package screen

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/backlog-scaler/backlog-scaler/internal/terminal"
)

// A Terminal shows each snapshot in the place of the one before, on a screen of its
// own: what was there before is there again at the end.
type Terminal struct {
	out   io.Writer
	size  func() (width, height int)
	color bool

	// width, height and shown are what the terminal shows now.
	width, height int
	shown         []line
	// last is the last snapshot.
	last Snapshot
}

// NewTerminal returns a Terminal that draws on out. size returns its size in
// columns and rows.
func NewTerminal(out io.Writer, size func() (width, height int), color bool) *Terminal {
	return &Terminal{out: out, size: size, color: color}
}

// Show draws what has changed. Lines that have not are left alone, so that text
// that a user selects stays selected.
func (t *Terminal) Show(s Snapshot) {
	var b strings.Builder
	if t.width == 0 {
		b.WriteString(terminal.Enter)
	}
	if width, height := t.size(); width != t.width || height != t.height {
		t.width, t.height, t.shown = width, height, nil
		b.WriteString(terminal.Home + terminal.ClearScreen)
	}
	t.last = s
	lines := t.fit(s.lines(t.width))
	row, moved := 1, false
	for i := range max(len(lines), len(t.shown)) {
		var now, before line
		if i < len(lines) {
			now = lines[i]
		}
		if i < len(t.shown) {
			before = t.shown[i]
		}
		// What follows a line that needs another number of rows has to be drawn again.
		if now != before || moved {
			for r := range max(t.rows(now), t.rows(before)) {
				fmt.Fprintf(&b, "\x1b[%d;1H%s", row+r, terminal.ClearLine)
			}
			fmt.Fprintf(&b, "\x1b[%d;1H%s", row, t.paint(now))
		}
		moved = moved || t.rows(now) != t.rows(before)
		row += t.rows(now)
	}
	t.shown = lines
	t.write(b.String())
}

// Close gives the screen back and leaves the last table on it.
func (t *Terminal) Close() {
	if t.width == 0 {
		return
	}
	var b strings.Builder
	b.WriteString(terminal.Leave)
	for _, l := range table(t.last.Rows, t.width) {
		b.WriteString(terminal.Truncate(l.text, t.width) + "\n")
	}
	t.write(b.String())
	t.width, t.shown = 0, nil
}

// fit leaves out the lines for which there is no room, and says so.
func (t *Terminal) fit(lines []line) []line {
	rows, fitting := 0, 0
	for i, l := range lines {
		if rows += t.rows(l); rows > t.height {
			more := line{text: terminal.Truncate("(a larger window shows more)", t.width), style: dim}
			return append(lines[:fitting], more)
		}
		if rows < t.height {
			fitting = i + 1
		}
	}
	return lines
}

// rows is how many rows a line takes: the terminal breaks what is too long.
func (t *Terminal) rows(l line) int {
	return max(1, (utf8.RuneCountInString(l.text)+t.width-1)/max(t.width, 1))
}

func (t *Terminal) paint(l line) string {
	if !t.color || l.style == plain {
		return l.text
	}
	return l.style.escape() + l.text + terminal.Reset
}

// write draws. An error is ignored: the output is the only place to report it.
func (t *Terminal) write(text string) { _, _ = io.WriteString(t.out, text) }
