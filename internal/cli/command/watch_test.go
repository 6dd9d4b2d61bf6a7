package command_test

import (
	"context"
	"strings"
	"testing"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
)

// A watcher shows one trigger, and calls then.
type watcher struct{ then func() }

func (w watcher) Watch(_ context.Context, r *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error {
	err := show(&pb.WatchDecisionsResponse{Complete: true, Changed: []*pb.Explanation{{Trigger: &pb.Trigger{Id: "1", Namespace: r.GetNamespace(), ScaledObject: "billing"}}}})
	w.then()
	return err
}

// TestViewNotes: a note is a line of its own, and on a terminal it is in the table and comes after it.
func TestViewNotes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, output string
		size         func() (width, height int)
		during, end  string
		table        bool
	}{
		{"lines", "text", nil, "a\nb\x1b\n", "", false},
		{"JSON", "json", nil, "a\nb\x1b\n", "", false},
		{"YAML", "yaml", nil, "a\nb\x1b\n", "", false},
		{"table", "text", func() (width, height int) { return 80, 24 }, "", "a\nb\x1b\n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out, notes strings.Builder
			view := command.NewView(tc.output, &out, tc.size, func(line string) { notes.WriteString(line + "\n") })
			view.Note("a")
			during := ""
			err := command.Watch(t.Context(), watcher{func() {
				view.Note("b\x1b")
				during = notes.String()
			}}, "shop", view)
			notes.Reset()
			view.Close()
			view.Close()
			if err != nil || during != tc.during || notes.String() != tc.end {
				t.Errorf("%v; noted %q and %q at the end, want %q and %q", err, during, notes.String(), tc.during, tc.end)
			}
			if table := strings.Contains(out.String(), `b\x1b`); table != tc.table || !strings.Contains(out.String(), "billing") {
				t.Errorf("shown:\n%q", out.String())
			}
		})
	}
}
