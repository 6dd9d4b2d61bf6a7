package screen

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An emulator is a terminal that knows what Terminal uses.
type emulator struct {
	t             *testing.T
	width, height int
	// main and own are the two screens; alternate says which is shown.
	main      strings.Builder
	own       [][]rune
	alternate bool
	row, col  int
	hidden    bool
	// written counts the characters that were drawn on the own screen.
	written int
}

func newEmulator(t *testing.T, width, height int) *emulator {
	t.Helper()
	e := &emulator{t: t}
	e.resize(width, height)
	return e
}

func (e *emulator) resize(width, height int) {
	e.width, e.height = width, height
	e.own = make([][]rune, height)
	for i := range e.own {
		e.own[i] = []rune(strings.Repeat(" ", width))
	}
}

func (e *emulator) size() (width, height int) { return e.width, e.height }

func (e *emulator) Write(p []byte) (int, error) {
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		if text[i] != '\x1b' {
			e.put(text[i])
			continue
		}
		end := i + 2 + slices.IndexFunc(text[i+2:], func(r rune) bool { return r >= '@' && r <= '~' })
		e.sequence(string(text[i+2 : end+1]))
		i = end
	}
	return len(p), nil
}

func (e *emulator) put(r rune) {
	if !e.alternate {
		e.main.WriteRune(r)
		return
	}
	e.written++
	if e.col == e.width {
		e.row, e.col = e.row+1, 0
	}
	if e.row >= e.height {
		e.t.Errorf("%q is drawn below the screen", r)
		return
	}
	e.own[e.row][e.col] = r
	e.col++
}

func (e *emulator) sequence(s string) {
	switch {
	case s == "?1049h", s == "?1049l":
		e.alternate = s == "?1049h"
	case s == "?25l", s == "?25h":
		e.hidden = s == "?25l"
	case s == "H":
		e.row, e.col = 0, 0
	case s == "2J":
		e.resize(e.width, e.height)
	case s == "2K":
		e.own[e.row] = []rune(strings.Repeat(" ", e.width))
	case strings.HasSuffix(s, "m"):
	case strings.HasSuffix(s, ";1H"):
		if _, err := fmt.Sscanf(s, "%d;1H", &e.row); err != nil {
			e.t.Errorf("sequence %q: %v", s, err)
		}
		e.row, e.col = e.row-1, 0
	default:
		e.t.Errorf("unknown sequence %q", s)
	}
}

// shown is what the own screen shows.
func (e *emulator) shown() string {
	var b strings.Builder
	for _, row := range e.own {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// drawn is what a fresh terminal of the size shows of s.
func drawn(t *testing.T, s Snapshot, width, height int) string {
	t.Helper()
	e := newEmulator(t, width, height)
	NewTerminal(e, e.size, false).Show(s)
	return e.shown()
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	e := newEmulator(t, 90, 24)
	terminal := NewTerminal(e, e.size, true)
	first := sample()
	terminal.Show(first)
	want := `backlog-scaler on 127.0.0.1:9090.
It is called as KEDA does.

WORKLOAD   QUEUE                WAITING  IN FLIGHT  OLDEST  WANTED  RUNNING
emails     list emails               43          5    12 s      10        5
  HPA: ceil(48/5) = 10
orders     stream orders              0          1   1.5 s       1        0
  woken 0.8 ms after the write; HPA in 9 s
reminders  sortedSet reminders        0          -       -       0        0
  idle: 30 messages in 12 s

  79.9s  emails     5 → 10  HPA: ceil(48/5) = 10








grpcurl -plaintext -d '{"name":"emails"}' 127.0.0.1:9090 externalscaler.ExternalScaler/IsA
ctive
`
	if diff := cmp.Diff(want, e.shown()); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}

	e.written = 0
	terminal.Show(first)
	if e.written != 0 {
		t.Errorf("%d characters are drawn although nothing changed", e.written)
	}

	second := sample()
	second.Rows[0].Running = 10
	second.Events = append(second.Events, second.Events[0], second.Events[0])
	second.Hints = append(second.Hints, "one more")
	terminal.Show(second)
	if diff := cmp.Diff(drawn(t, second, 90, 24), e.shown()); diff != "" {
		t.Errorf("screen after a change (-want +got):\n%s", diff)
	}
	terminal.Show(first)
	if diff := cmp.Diff(drawn(t, first, 90, 24), e.shown()); diff != "" {
		t.Errorf("screen after the change back (-want +got):\n%s", diff)
	}

	for _, size := range [][2]int{{60, 24}, {200, 40}, {40, 5}, {90, 12}} {
		e.resize(size[0], size[1])
		terminal.Show(first)
		if diff := cmp.Diff(drawn(t, first, size[0], size[1]), e.shown()); diff != "" {
			t.Errorf("screen of %v (-want +got):\n%s", size, diff)
		}
	}
	if !e.alternate || !e.hidden {
		t.Error("the demo does not have a screen of its own without a cursor")
	}

	terminal.Close()
	if e.alternate || e.hidden {
		t.Error("the terminal is not given back")
	}
	left := table(first.Rows, 90)[0].text
	if got, _, _ := strings.Cut(e.main.String(), "\n"); got != left {
		t.Errorf("the screen is left with %q, want %q", got, left)
	}
}

func TestColor(t *testing.T) {
	t.Parallel()
	for color, want := range map[bool]bool{true: true, false: false} {
		var out strings.Builder
		NewTerminal(&out, func() (int, int) { return 100, 30 }, color).Show(sample())
		if got := strings.Contains(out.String(), "\x1b[1m"); got != want {
			t.Errorf("color %v: there are styles: %v", color, got)
		}
	}
}
