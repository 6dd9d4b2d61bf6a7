package replicas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// A Finder finds the replicas that there are now, besides those whose names are known. The caller closes them. An
// error is noted, and does not keep others from being watched.
type Finder func(ctx context.Context, known []string) ([]Replica, error)

// When a watch searches for replicas, and how long it waits for one.
const (
	// soon is how long after the loss of a replica it searches for another one. It doubles with each loss, up to regularly.
	soon = time.Second
	// regularly is the time between two searches, and the longest time that one takes.
	regularly = 10 * time.Second
	// patience is how long it goes on without any replica.
	patience = time.Minute
)

// Watch shows the changes of all replicas until ctx ends, which is no error, or until show returns an error or no
// replica is left. A Finder lets it go on with replicas that come later, such as those of an upgrade.
func (g *Group) Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error {
	if len(g.replicas) == 1 && g.find == nil {
		return g.replicas[0].Watch(ctx, request, show)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{
		group: g, request: request, show: show,
		events: make(chan event), found: make(chan finding),
		merged: newMerger(), watched: make(map[int]string), quiet: make(map[int]bool), leftover: none,
		searches: time.NewTimer(regularly), pause: soon,
	}
	defer w.running.Wait()
	defer cancel()
	defer w.searches.Stop()
	for _, r := range g.replicas {
		w.start(ctx, r, nil)
	}
	w.noteWatched()
	return w.run(ctx)
}

// none is no replica.
const none = -1

// A watch is what one goroutine knows of those of the replicas. Replicas have numbers, which are never used again.
type watch struct {
	group   *Group
	request *pb.WatchDecisionsRequest
	show    func(*pb.WatchDecisionsResponse) error
	events  chan event
	found   chan finding
	running sync.WaitGroup

	merged  *merger
	watched map[int]string // names by number
	next    int
	// quiet are those that a search has found, and that have sent no message yet.
	quiet map[int]bool
	// leftover is the last replica that was lost, whose triggers are shown until another one has listed its own.
	leftover int
	// heard reports that a replica has sent a message. failed are those that were lost since the last one.
	heard  bool
	failed []error
	// alone is when patience ends; nil while a replica answers.
	alone <-chan time.Time

	searches  *time.Timer // when the next search is
	searching bool
	pause     time.Duration // before the next search after a loss

	noted string
}

// An event is a message of a replica, or the end of its stream.
type event struct {
	replica int
	message *pb.WatchDecisionsResponse // nil at the end
	err     error
}

// A finding is the result of a search.
type finding struct {
	replicas []Replica
	err      error
}

// start watches a replica. It is closed by done, if that is not nil, when its stream has ended.
func (w *watch) start(ctx context.Context, r Replica, done func() error) {
	number := w.next
	w.next++
	w.watched[number] = r.Name
	w.merged.join(number)
	w.running.Go(func() {
		if done != nil {
			defer func() { _ = done() }() // its stream has said what is wrong with it
		}
		err := r.Watch(ctx, w.request, func(m *pb.WatchDecisionsResponse) error { return w.send(ctx, event{replica: number, message: m}) })
		_ = w.send(ctx, event{replica: number, err: err})
	})
}

// send passes on an event, unless ctx ends.
func (w *watch) send(ctx context.Context, e event) error {
	select {
	case w.events <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run shows what comes.
func (w *watch) run(ctx context.Context) error {
	if w.group.find == nil {
		w.searches.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.alone:
			return w.why()
		case <-w.searches.C:
			w.search(ctx)
		case f := <-w.found:
			w.add(ctx, f)
		case e := <-w.events:
			if ended, err := w.take(ctx, e); ended || err != nil {
				return err
			}
		}
	}
}

// take takes an event. It reports whether the caller has ended the watch.
func (w *watch) take(ctx context.Context, e event) (ended bool, err error) {
	switch {
	case e.message != nil:
		return false, w.update(e)
	case ctx.Err() != nil || e.err == nil:
		return true, nil //nolint:nilerr // its end is no fault
	default:
		return false, w.lose(e)
	}
}

// search searches for replicas that are not watched.
func (w *watch) search(ctx context.Context) {
	w.searching = true
	known := slices.Sorted(maps.Values(w.watched))
	w.running.Go(func() {
		searching, cancel := context.WithTimeout(ctx, regularly)
		defer cancel()
		replicas, err := w.group.find(searching, known)
		select {
		case w.found <- finding{replicas, err}:
		case <-ctx.Done():
			for _, r := range replicas {
				_ = r.Close() // the watch has ended
			}
		}
	})
}

// add watches what a search has found, and says when the next one is.
func (w *watch) add(ctx context.Context, f finding) {
	for _, r := range f.replicas {
		w.quiet[w.next] = true
		w.start(ctx, r, r.Close)
	}
	if len(f.replicas) == 0 && f.err != nil {
		w.note("Searching for replicas failed: " + f.err.Error())
	}
	w.searching = false
	switch {
	case len(w.watched) == 0:
		w.searchSoon()
		return
	case len(f.replicas) == 0:
		w.pause = soon
	}
	w.searches.Reset(regularly)
}

// searchSoon says that the next search is in a pause, which is longer each time.
func (w *watch) searchSoon() {
	if w.searching {
		return
	}
	w.searches.Reset(w.pause)
	w.pause = min(2*w.pause, regularly)
}

// update shows what a message changes.
func (w *watch) update(e event) error {
	w.heard, w.alone = true, nil
	if w.quiet[e.replica] {
		delete(w.quiet, e.replica)
		w.noteWatched()
	}
	if w.group.find != nil {
		w.failed = nil
	}
	if err := w.show(w.merged.update(e.replica, e.message)); err != nil {
		return err
	}
	if w.leftover == none || !e.message.GetComplete() {
		return nil
	}
	gone := w.leftover
	w.leftover = none
	return w.show(w.merged.lose(gone))
}

// lose removes a replica whose stream has ended. What the last one has reported stays until there is another. It
// returns an error if the watch cannot go on.
func (w *watch) lose(e event) error {
	err := named(w.watched[e.replica], e.err)
	delete(w.watched, e.replica)
	delete(w.quiet, e.replica)
	w.failed = append(w.failed, err)
	switch {
	case len(w.watched) > 0:
		w.note("One replica does not answer any more: " + err.Error())
	case w.group.find == nil || !w.heard:
		return w.why()
	default:
		w.note(fmt.Sprintf("No replica is left, and one is searched for %s: %v", patience, err))
	}
	if w.group.find != nil {
		w.searchSoon()
	}
	gone := e.replica
	if len(w.watched) == 0 {
		gone, w.leftover = w.leftover, gone
		if w.alone == nil {
			w.alone = time.After(patience)
		}
	}
	if gone == none {
		return nil
	}
	return w.show(w.merged.lose(gone))
}

// why returns why no replica is left.
func (w *watch) why() error {
	return errors.Join(slices.CompactFunc(w.failed, func(a, b error) bool { return a.Error() == b.Error() })...)
}

// noteWatched says which replicas are watched, if there is more to say than that there is one.
func (w *watch) noteWatched() {
	var names []string
	for number, name := range w.watched {
		if !w.quiet[number] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	switch {
	case len(names) > 1:
		w.note(fmt.Sprintf("Watching %d replicas: %s. Each trigger is as the one reports that KEDA called last.", len(names), strings.Join(names, ", ")))
	case w.next > 1:
		w.note("Watching " + names[0] + ".")
	}
}

// note notes a line unless it is the last one again.
func (w *watch) note(line string) {
	if line != w.noted {
		w.noted = line
		w.group.write(line)
	}
}
