package inspector

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc/status"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

const (
	// heartbeat is the time after which a client gets a message although nothing changed.
	heartbeat = 2 * time.Second
	// batch is the number of triggers in one message, far below the 4 MiB that gRPC clients
	// accept by default.
	batch = 200
)

// WatchDecisions sends all triggers and then those whose decision changed, until ctx ends or send
// returns an error.
func (i *Inspector) WatchDecisions(ctx context.Context, request *pb.WatchDecisionsRequest, send func(*Frame) error) error {
	leave, err := i.hub.join()
	if err != nil {
		return err
	}
	defer leave()
	w := i.hub.watch(request.GetNamespace(), send)
	defer w.end()
	for {
		now := time.Now()
		if err := w.step(now); err != nil {
			return err
		}
		timer := time.NewTimer(time.Until(next(now)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

// A watcher serves one client of WatchDecisions. One goroutine uses it.
type watcher struct {
	hub       *hub
	namespace string
	send      func(*Frame) error

	// cursor is the scan whose changes the client has. hub.mu guards it.
	cursor uint64
	// changed are the triggers of the next message, and lastSent when the last complete one
	// was sent.
	changed  []*pb.Explanation
	lastSent time.Time
}

// watch returns a watcher of the triggers of a namespace; empty means all. Its end must be called.
func (h *hub) watch(namespace string, send func(*Frame) error) *watcher {
	w := &watcher{hub: h, namespace: namespace, send: send}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers[w] = struct{}{}
	return w
}

func (w *watcher) end() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watchers, w)
}

// step sends what changed since the last step, in messages of at most batch triggers. The last
// one is marked as complete. A client that reads slowly misses steps, and then gets the latest
// state of what changed meanwhile.
func (w *watcher) step(now time.Time) error {
	c := w.collect(now)
	for _, f := range c.frames {
		w.lastSent = now
		if err := w.send(f); err != nil {
			return err
		}
	}
	if c.missed != nil {
		if err := w.resend(now, c.missed); err != nil {
			return err
		}
	}
	if len(w.changed) > 0 || len(c.removed) > 0 || now.Sub(w.lastSent) >= heartbeat {
		w.lastSent = now
		if err := w.send(newFrame(now, w.changed, c.removed, true)); err != nil {
			return err
		}
		w.changed = nil
	}
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.cursor = c.scan
	return nil
}

// A collection is what a watcher has to send: frames that all watchers share, or the keys of the
// triggers to explain.
type collection struct {
	frames  []*Frame
	missed  map[uint64]bool
	removed []*pb.Trigger
	// scan is the cursor after that.
	scan uint64
}

// collect returns what changed since the cursor.
func (w *watcher) collect(now time.Time) collection {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refresh(now)
	c := collection{scan: h.scans}
	if w.cursor == h.scans {
		return c
	}
	c.removed = h.removedSince(w.cursor, w.namespace)
	if h.shared && w.cursor == h.scans-1 {
		c.frames, c.removed = h.frames(w.namespace, c.removed), nil
		return c
	}
	c.missed = map[uint64]bool{}
	for key, e := range h.entries {
		if e.changed > w.cursor && wants(w.namespace, e.row.Namespace) {
			c.missed[key] = true
		}
	}
	return c
}

// removedSince returns the triggers that are gone since a scan, and not there again. mu is held.
func (h *hub) removedSince(scan uint64, namespace string) (removed []*pb.Trigger) {
	for _, r := range h.removed {
		if _, again := h.entries[r.key]; r.scan > scan && !again && wants(namespace, r.namespace) {
			removed = append(removed, r.trigger)
		}
	}
	return removed
}

// frames returns the messages with the changes of the last scan. Those of all namespaces are built
// and encoded once for all watchers. mu is held.
func (h *hub) frames(namespace string, removed []*pb.Trigger) []*Frame {
	if namespace == "" && h.encoded != nil {
		return h.encoded
	}
	changed := h.changes
	if namespace != "" {
		changed = slices.DeleteFunc(slices.Clone(changed), func(e *pb.Explanation) bool { return e.GetTrigger().GetNamespace() != namespace })
	}
	if len(changed) == 0 && len(removed) == 0 {
		return nil
	}
	var frames []*Frame
	for len(changed) > batch {
		frames = append(frames, newFrame(h.scanned, changed[:batch:batch], nil, false))
		changed = changed[batch:]
	}
	frames = append(frames, newFrame(h.scanned, slices.Clone(changed), removed, true))
	if namespace == "" {
		for _, f := range frames {
			f.encode()
		}
		h.encoded = frames
	}
	return frames
}

// wants reports whether a namespace is the wanted one; empty wants all.
func wants(wanted, namespace string) bool { return wanted == "" || wanted == namespace }

// resend adds the triggers with these keys, as they are now. A message is built when it can be
// sent, so that a slow client has at most one in memory.
func (w *watcher) resend(now time.Time, keys map[uint64]bool) (err error) {
	w.hub.server.EachTriggerStatus(now, inNamespace(w.namespace), func(key uint64, t *server.TriggerStatus, complete func()) bool {
		if !keys[key] {
			return true
		}
		err = w.add(now, w.hub.explainKnown(key, t, complete))
		return err == nil
	})
	return err
}

// explainKnown returns the explanation of a trigger that has an entry, unless it is gone meanwhile.
func (h *hub) explainKnown(key uint64, t *server.TriggerStatus, complete func()) *pb.Explanation {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entries[key]
	if e == nil {
		return nil
	}
	return h.explained(e, t, complete)
}

// add adds a trigger to the next message, and sends the message before if that is full.
func (w *watcher) add(now time.Time, e *pb.Explanation) error {
	if e == nil {
		return nil
	}
	if len(w.changed) == batch {
		if err := w.send(newFrame(now, w.changed, nil, false)); err != nil {
			return err
		}
		w.changed = nil
	}
	w.changed = append(w.changed, e)
	return nil
}

// A state has what counts as a change: everything except ages. It is compared once a second
// for each trigger, so building it allocates nothing.
type state struct {
	value, target    float64
	active, armed    bool
	ready, due       int64
	inFlight         int64
	knowsInFlight    bool
	measured         backlog.Measurement
	reasons          uint64
	problem, code    string
	openStreams      int
	rejected, failed bool
}

// stateOf returns the state of a trigger.
func stateOf(t *server.TriggerStatus) state {
	s := state{
		value: t.Decision.Value, target: t.Decision.Target, active: t.Decision.Active, armed: t.Observation.Armed,
		ready: t.Observation.Latest.Ready, due: t.Observation.Latest.Due, inFlight: t.Observation.Latest.InFlight.N, knowsInFlight: t.Observation.Latest.InFlight.Known,
		measured:    t.Observation.Latest.Measured,
		openStreams: t.OpenStreams, rejected: t.Rejected, failed: t.Err != nil,
	}
	for _, step := range t.Decision.Steps {
		s.reasons = mix(s.reasons, string(step.Reason))
	}
	for _, step := range t.Outcome.Decision.Steps {
		s.reasons = mix(s.reasons, string(step.Reason))
	}
	if t.Err != nil || t.Observation.Err != nil {
		s.problem, s.code = reason(t), t.Code
	}
	return s
}

// mix adds a text to a hash: FNV-1a without its offset.
func mix(sum uint64, text string) uint64 {
	for i := range len(text) {
		sum = (sum ^ uint64(text[i])) * 1099511628211
	}
	return (sum ^ ' ') * 1099511628211
}
