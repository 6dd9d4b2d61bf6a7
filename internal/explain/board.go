package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/terminal"
)

// A Board is a table of all triggers that a watch reported.
type Board struct {
	rows map[string]*pb.Explanation
	// at is the time of the last message, by the clock of the scaler.
	at time.Time
}

// NewBoard returns a Board without triggers.
func NewBoard() *Board { return &Board{rows: map[string]*pb.Explanation{}} }

// Update applies a message of the watch.
func (b *Board) Update(r *pb.WatchDecisionsResponse) {
	b.at = r.GetAt().AsTime()
	for _, e := range r.GetChanged() {
		b.rows[e.GetTrigger().GetId()] = e
	}
	for _, t := range r.GetRemoved() {
		delete(b.rows, t.GetId())
	}
}

// sorted returns the rows: those that need attention first, then by name.
func (b *Board) sorted() []*pb.Explanation {
	rows := make([]*pb.Explanation, 0, len(b.rows))
	for _, e := range b.rows {
		rows = append(rows, e)
	}
	slices.SortFunc(rows, func(x, y *pb.Explanation) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(title(x), title(y)), cmp.Compare(x.GetTrigger().GetId(), y.GetTrigger().GetId()))
	})
	return rows
}

// rank orders errors before active and active before inactive triggers.
func rank(e *pb.Explanation) int {
	switch {
	case e.GetDecision() == nil:
		return 0
	case e.GetProblem() != nil:
		return 1
	case e.GetDecision().GetActive():
		return 2
	default:
		return 3
	}
}

func title(e *pb.Explanation) string {
	name := e.GetTrigger().GetNamespace() + "/" + e.GetTrigger().GetScaledObject()
	return strings.TrimSpace(name + " " + e.GetTrigger().GetName())
}

// lines returns the table for a terminal of width columns and height rows.
func (b *Board) lines(width, height int) []string {
	columns := []terminal.Alignment{
		terminal.Left, terminal.Left, terminal.Right, terminal.Right, terminal.Right, terminal.Right, terminal.Right, terminal.Free,
	}
	cells := [][]string{{"SCALEDOBJECT", "TRIGGER", "VALUE", "TARGET", "WANTS", "IN FLIGHT", "STREAMS", "STATE"}}
	rows := b.sorted()
	room := max(height-4, 1)
	for _, e := range rows[:min(room, len(rows))] {
		cells = append(cells, row(e))
	}
	active := 0
	for _, e := range rows {
		if e.GetDecision().GetActive() {
			active++
		}
	}
	lines := []string{fmt.Sprintf("%s, %d active, as of %s", plural(int64(len(rows)), "trigger"), active, b.at.UTC().Format("15:04:05")), ""}
	lines = append(lines, terminal.Align(cells, columns...)...)
	if more := len(rows) - room; more > 0 {
		lines = append(lines, fmt.Sprintf("(and %d more in a larger window, or with --namespace)", more))
	}
	for i := range lines {
		lines[i] = terminal.Truncate(lines[i], width)
	}
	return lines
}

// row returns the cells of a trigger. Unknown values are a dash.
func row(e *pb.Explanation) []string {
	t, d := e.GetTrigger(), e.GetDecision()
	cells := []string{t.GetNamespace() + "/" + t.GetScaledObject(), dash(t.GetName()), "-", "-", "-", "-", integer(int64(e.GetCallHistory().GetOpenStreams())), state(e)}
	if d != nil {
		cells[2], cells[3], cells[4] = unitOf(e).number(d.GetValue()), unitOf(e).number(d.GetTarget()), integer(d.GetWantedReplicas())
	}
	if e.GetReading() != nil && e.GetReading().InFlight != nil {
		cells[5] = integer(e.GetReading().GetInFlight())
	}
	return cells
}

// state returns the last column: the activity, the reasons of the decision and the problem.
func state(e *pb.Explanation) string {
	var words []string
	d := e.GetDecision()
	if d != nil {
		words = append(words, activity(d.GetActive()))
		for _, step := range d.GetSteps() {
			words = append(words, step.GetReason())
		}
	}
	text := strings.Join(words, ", ")
	if p := e.GetProblem(); p != nil {
		if text != "" {
			text += "; "
		}
		text += p.GetReason() + ": " + p.GetMessage()
	}
	return text
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// noteTime is how long a note is above the table, by the times of the messages that come.
const noteTime = 10 * time.Second

// A Screen shows a Board on the alternate screen of a terminal.
type Screen struct {
	out   io.Writer
	size  func() (width, height int)
	board *Board
	began bool
	note  string
	noted time.Time // by the clock of the scaler
}

// NewScreen returns a Screen that draws on out. size returns the columns and rows of the
// terminal.
func NewScreen(out io.Writer, size func() (width, height int)) *Screen {
	return &Screen{out: out, size: size, board: NewBoard()}
}

// Show applies a message and draws the table when the message completes it.
func (s *Screen) Show(r *pb.WatchDecisionsResponse) error {
	s.board.Update(r)
	if !r.GetComplete() {
		return nil
	}
	if s.board.at.Sub(s.noted).Abs() >= noteTime {
		s.note = ""
	}
	return s.draw()
}

// Note shows a line above the table. It goes away with a message of ten seconds later, so that one about what keeps
// messages from coming stays.
func (s *Screen) Note(line string) error {
	s.note, s.noted = line, s.board.at
	if !s.began {
		return nil
	}
	return s.draw()
}

// draw draws the table.
func (s *Screen) draw() error {
	width, height := s.size()
	var b strings.Builder
	if !s.began {
		s.began = true
		b.WriteString(terminal.Enter)
	}
	b.WriteString(terminal.Home)
	lines := s.board.lines(width, height)
	lines[1] = terminal.Truncate(s.note, width)
	for _, line := range lines {
		b.WriteString(line + terminal.ClearLineEnd + "\r\n")
	}
	b.WriteString(terminal.ClearScreenEnd)
	_, err := io.WriteString(s.out, b.String())
	return err
}

// Close leaves the alternate screen and prints the last table.
func (s *Screen) Close() {
	if !s.began {
		return
	}
	s.began = false
	width, height := s.size()
	// There is nowhere to report that the terminal is gone.
	_, _ = io.WriteString(s.out, terminal.Leave+strings.Join(s.board.lines(width, height), "\n")+"\n")
}
