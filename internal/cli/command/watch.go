package command

import (
	"context"
	"io"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// A Watcher is a running scaler, or all replicas of one.
type Watcher interface {
	Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error
}

// A View shows a watch: as a table on a terminal, else as a line for each change. Close must be called.
type View struct {
	// show shows a message. screen is nil without a terminal.
	show   func(*pb.WatchDecisionsResponse) error
	screen *explain.Screen
	note   func(string)
	late   []string
}

// maxLate bounds the notes that are kept.
const maxLate = 100

// NewView returns a View on stdout, or one of JSON or YAML if output says so. size returns the columns and rows of the
// terminal; nil if stdout is none. note prints a note.
func NewView(output string, stdout io.Writer, size func() (width, height int), note func(string)) *View {
	v := &View{note: note}
	switch {
	case output == asJSON:
		v.show = func(r *pb.WatchDecisionsResponse) error { return explain.JSONLines(stdout, r) }
	case output == asYAML:
		v.show = func(r *pb.WatchDecisionsResponse) error { return explain.YAMLDocuments(stdout, r) }
	case size == nil:
		v.show = func(r *pb.WatchDecisionsResponse) error { return explain.Lines(stdout, r) }
	default:
		v.screen = explain.NewScreen(stdout, size)
		v.show = v.screen.Show
	}
	return v
}

// Note prints a note. On a terminal it is above the table, and printed at the end, because a line would spoil the
// table.
func (v *View) Note(line string) {
	if v.screen == nil {
		v.note(line)
		return
	}
	if len(v.late) < maxLate {
		v.late = append(v.late, line)
	}
	_ = v.screen.Note(backlog.Line(line)) // the next table has the same error
}

// Close leaves the table, and prints the last one.
func (v *View) Close() {
	if v.screen == nil {
		return
	}
	v.screen.Close()
	for _, line := range v.late {
		v.note(line)
	}
	v.late = nil
}

// Watch shows the triggers of a namespace, or of all if it is empty, until ctx ends.
func Watch(ctx context.Context, scaler Watcher, namespace string, view *View) error {
	return scaler.Watch(ctx, &pb.WatchDecisionsRequest{Namespace: namespace}, view.show)
}
