package replicas_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/replicas"
)

// message is one of a watch, complete.
func message(changed ...*pb.Explanation) *pb.WatchDecisionsResponse {
	return &pb.WatchDecisionsResponse{At: at(1), Changed: changed, Complete: true}
}

// summary is what a message says, in one line.
func summary(r *pb.WatchDecisionsResponse) string {
	var b strings.Builder
	for _, e := range r.GetChanged() {
		b.WriteString(e.GetTrigger().GetId() + "=" + string(rune('0'+int(e.GetDecision().GetValue()))) + " ")
	}
	for _, removed := range r.GetRemoved() {
		b.WriteString("-" + removed.GetId() + " ")
	}
	if r.GetComplete() {
		b.WriteString("complete")
	}
	return strings.TrimSpace(b.String())
}

// TestWatch: the messages of two replicas become those of one watch, step by step.
func TestWatch(t *testing.T) {
	t.Parallel()
	first, second := make(chan *pb.WatchDecisionsResponse), make(chan *pb.WatchDecisionsResponse)
	shown := make(chan string)
	var n notes
	g := group(&n, &replica{messages: first, err: errors.New("gone")}, &replica{messages: second, err: errors.New("gone, too")})
	ended := make(chan error, 1)
	go func() {
		ended <- g.Watch(t.Context(), &pb.WatchDecisionsRequest{}, func(r *pb.WatchDecisionsResponse) error {
			shown <- summary(r)
			return nil
		})
	}()
	for _, step := range []struct {
		name    string
		to      chan<- *pb.WatchDecisionsResponse
		message *pb.WatchDecisionsResponse
		want    string
	}{
		{"the list of the first", first, message(explained("1", "x", 1, 5), explained("2", "y", 1, 5)), "shop/billing/x=1 shop/billing/y=1"},
		{"that of the second, called later for x", second, message(explained("2", "x", 2, 6)), "shop/billing/x=2 complete"},
		{"an earlier call changes nothing", first, message(explained("1", "x", 1, 5)), "complete"},
		{"a later one does", first, message(explained("1", "x", 3, 7)), "shop/billing/x=3 complete"},
		{"the same from the other is no change", second, message(explained("2", "x", 3, 8)), "complete"},
		{"a trigger of one is gone", first, &pb.WatchDecisionsResponse{Removed: []*pb.Trigger{{Id: "2"}}, Complete: true}, "-shop/billing/y complete"},
		{"one of two is gone in one", first, &pb.WatchDecisionsResponse{Removed: []*pb.Trigger{{Id: "1"}}, Complete: true}, "complete"},
		{"it is there again with another identifier", first, message(explained("7", "x", 4, 9)), "shop/billing/x=4 complete"},
		{"an unknown identifier", first, &pb.WatchDecisionsResponse{Removed: []*pb.Trigger{{Id: "99"}}, Complete: true}, "complete"},
	} {
		step.to <- step.message
		if got := <-shown; got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	close(first)
	if got := <-shown; got != "shop/billing/x=3 complete" {
		t.Errorf("the first is gone: %q", got)
	}
	close(second)
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "A: gone\nB: gone, too") {
			t.Errorf("no replica is left: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("no replica is left, and the watch goes on")
	}
	if want := "Watching 2 replicas: A, B. Each trigger is as the one reports that KEDA called last.\nOne replica does not answer any more: A: gone"; n.all() != want {
		t.Errorf("notes %q, want %q", n.all(), want)
	}
}

// TestWatchEnds: the end of the caller's context is no error, and an error of show ends all streams.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	for name, ends := range map[string]func(cancel func()) error{
		"context": func(cancel func()) error { cancel(); return nil },
		"show":    func(func()) error { return full },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			messages := make(chan *pb.WatchDecisionsResponse, 1)
			messages <- message(explained("1", "x", 1, 5))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var n notes
			err := group(&n, &replica{messages: messages}, &replica{messages: make(chan *pb.WatchDecisionsResponse)}).
				Watch(ctx, &pb.WatchDecisionsRequest{}, func(*pb.WatchDecisionsResponse) error { return ends(cancel) })
			if name == "context" && err != nil || name == "show" && !errors.Is(err, full) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A finder finds replicas, one answer after the other, and then none.
type finder struct {
	started time.Time
	answers []found
	// asked are the times since it was made, and the names that were known then.
	asked []string
}

// A found is one answer of a finder.
type found struct {
	replicas []replicas.Replica
	err      error
}

func (f *finder) find(_ context.Context, known []string) ([]replicas.Replica, error) {
	f.asked = append(f.asked, strings.Join(append([]string{time.Since(f.started).String()}, known...), " "))
	if len(f.answers) == 0 {
		return nil, nil
	}
	answer := f.answers[0]
	f.answers = f.answers[1:]
	return answer.replicas, answer.err
}

// A follower is a watch that follows replicas which come and go. It runs in a bubble, where time passes at once.
type follower struct {
	t      *testing.T
	notes  notes
	finder finder
	shown  []string
	cancel context.CancelFunc
	ended  chan error
}

// follow begins a watch of A.
func follow(t *testing.T, first *replica, answers ...found) *follower {
	t.Helper()
	f := &follower{t: t, finder: finder{started: time.Now(), answers: answers}, ended: make(chan error, 1)}
	g := replicas.NewGroup([]replicas.Replica{{Name: "A", Scaler: first}}, f.finder.find, f.notes.add)
	ctx, cancel := context.WithCancel(t.Context())
	f.cancel = cancel
	go func() {
		f.ended <- g.Watch(ctx, &pb.WatchDecisionsRequest{}, func(r *pb.WatchDecisionsResponse) error {
			f.shown = append(f.shown, summary(r))
			return nil
		})
	}()
	synctest.Wait()
	return f
}

// want checks what was shown since the last time, when the watch has gone on for a time.
func (f *follower) want(name string, after time.Duration, want ...string) {
	f.t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if diff := cmp.Diff(want, f.shown); diff != "" {
		f.t.Errorf("%s: shown (-want +got):\n%s", name, diff)
	}
	f.shown = nil
}

// lines checks what was noted, and when the finder was asked.
func (f *follower) lines(asked []string, noted ...string) {
	f.t.Helper()
	if diff := cmp.Diff(asked, f.finder.asked); diff != "" {
		f.t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(strings.Join(noted, "\n"), f.notes.all()); diff != "" {
		f.t.Errorf("noted (-want +got):\n%s", diff)
	}
}

// TestWatchFollows: the only replica is replaced. What it reported is shown until the new one has listed its triggers.
func TestWatchFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := make(chan *pb.WatchDecisionsResponse), make(chan *pb.WatchDecisionsResponse)
		b := &replica{messages: second, err: errors.New("gone, too")}
		f := follow(t, &replica{messages: first, err: errors.New("gone")},
			found{err: errors.New("no pod is ready")}, found{replicas: []replicas.Replica{{Name: "B", Scaler: b}}})
		first <- message(explained("1", "x", 1, 5), explained("2", "y", 1, 5))
		f.want("the list of A", 0, "shop/billing/x=1 shop/billing/y=1 complete")
		close(first)
		f.want("A is gone", 3*time.Second)
		second <- &pb.WatchDecisionsResponse{At: at(9), Changed: []*pb.Explanation{explained("1", "x", 2, 0)}}
		f.want("the list of B is not complete", 0, "")
		second <- &pb.WatchDecisionsResponse{At: at(9), Complete: true}
		f.want("it is", 0, "complete", "shop/billing/x=2 -shop/billing/y complete")
		if b.closed.Load() {
			t.Error("B is closed while it is watched")
		}
		f.cancel()
		if err := <-f.ended; err != nil || !b.closed.Load() {
			t.Errorf("%v; B is closed: %v", err, b.closed.Load())
		}
		f.lines([]string{"1s", "3s"}, "No replica is left, and one is searched for 1m0s: A: gone",
			"Searching for replicas failed: no pod is ready", "Watching B.")
	})
}

// TestWatchIsJoined: a replica that comes while others answer is watched with them.
func TestWatchIsJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := make(chan *pb.WatchDecisionsResponse), make(chan *pb.WatchDecisionsResponse)
		f := follow(t, &replica{messages: first, err: errors.New("gone")}, found{},
			found{replicas: []replicas.Replica{{Name: "B", Scaler: &replica{messages: second, err: errors.New("gone, too")}}}})
		first <- message(explained("1", "x", 1, 5), explained("2", "y", 1, 5))
		f.want("the list of A", 25*time.Second, "shop/billing/x=1 shop/billing/y=1 complete")
		second <- message(explained("1", "x", 2, 6))
		f.want("that of B", 0, "shop/billing/x=2 complete")
		close(first)
		f.want("A is gone", 0, "-shop/billing/y complete")
		close(second)
		f.want("B is gone", 59*time.Second)
		select {
		case err := <-f.ended:
			t.Errorf("it ended after 59 s: %v", err)
		default:
		}
		time.Sleep(time.Second)
		if err := <-f.ended; err == nil || err.Error() != "A: gone\nB: gone, too" {
			t.Errorf("%v", err)
		}
		f.lines([]string{"10s A", "20s A", "27s", "31s", "39s", "49s", "59s", "1m9s", "1m19s"},
			"Watching 2 replicas: A, B. Each trigger is as the one reports that KEDA called last.",
			"One replica does not answer any more: A: gone",
			"No replica is left, and one is searched for 1m0s: B: gone, too")
	})
}

// TestWatchOfAPodThatIsListed: a pod whose scaler is dead is found again and again, and that is noted once.
func TestWatchOfAPodThatIsListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		messages := make(chan *pb.WatchDecisionsResponse)
		a := &replica{messages: messages, err: errors.New("gone")}
		again := found{replicas: []replicas.Replica{{Name: "A", Scaler: a}}}
		f := follow(t, a, again, again, again)
		messages <- message(explained("1", "x", 1, 5))
		f.want("the list", 0, "shop/billing/x=1 complete")
		close(messages)
		if err := <-f.ended; err == nil || err.Error() != "A: gone" {
			t.Errorf("%v", err)
		}
		f.lines([]string{"1s", "3s", "7s", "15s", "25s", "35s", "45s", "55s"}, "No replica is left, and one is searched for 1m0s: A: gone")
	})
}

// TestWatchNeverBegan: replicas that never answered end the watch at once.
func TestWatchNeverBegan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		messages := make(chan *pb.WatchDecisionsResponse)
		close(messages)
		f := follow(t, &replica{messages: messages, err: errors.New("connection refused")})
		if err := <-f.ended; err == nil || err.Error() != "A: connection refused" {
			t.Errorf("%v", err)
		}
		f.lines(nil)
	})
}

// TestWatchEndsDuringASearch: a replica that is found after the end is closed.
func TestWatchEndsDuringASearch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &replica{messages: make(chan *pb.WatchDecisionsResponse)}
		ctx, cancel := context.WithCancel(t.Context())
		g := replicas.NewGroup([]replicas.Replica{{Name: "A", Scaler: &replica{messages: make(chan *pb.WatchDecisionsResponse)}}},
			func(searching context.Context, _ []string) ([]replicas.Replica, error) {
				cancel()
				<-searching.Done()
				return []replicas.Replica{{Name: "B", Scaler: b}}, nil
			}, func(line string) { t.Errorf("noted %q", line) })
		if err := g.Watch(ctx, &pb.WatchDecisionsRequest{}, func(*pb.WatchDecisionsResponse) error { return nil }); err != nil {
			t.Error(err)
		}
		if !b.closed.Load() {
			t.Error("B is not closed")
		}
	})
}
