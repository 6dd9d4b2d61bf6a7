package inspector

import (
	"math"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

const (
	// Interval is the least time between two scans of all triggers, however many clients
	// listen. Clients that listen wait for the same moments, the whole seconds, so that one scan
	// serves all of them.
	Interval = time.Second
	// MaxListeners is the number of clients that may listen for changes: those of
	// WatchDecisions and the open pages together.
	MaxListeners = 16
	// maxShared bounds the explanations that one scan builds for all clients of
	// WatchDecisions. If more triggers changed, each client builds its own, in batches.
	maxShared = 2000
	// keepUnused is how long the state of all triggers is kept after it was last asked for.
	keepUnused = time.Minute
)

// A hub has the last known state of all triggers for every client that lists or watches them. It
// scans the triggers when a client asks, at most once in each second, and replaces only the rows
// of triggers that changed. It has no goroutine: while no client asks, it does nothing, and after
// keepUnused it forgets everything.
//
// Lock order: hub.mu, then those of the server, the policies and the sampler.
type hub struct {
	server Server
	// explain builds the explanation of a trigger whose status is complete.
	explain func(t server.TriggerStatus, now time.Time) *pb.Explanation
	// policies is nil in a scaler that watches none.
	policies Policies

	// mu guards what follows, and is held while the triggers are scanned.
	mu      sync.Mutex
	entries map[uint64]*entry
	// scans counts the scans; scanned is when the last one was.
	scans   uint64
	scanned time.Time
	// states is the number of triggers in each state.
	states [NumberOfStates]int
	// policyHistories are those of policies, and policySlot is the slot of their last sample.
	policyHistories map[policies.Key]*history
	policySlot      int64
	// outages are those of connections, of the last scan; replaced, never changed.
	outages []Outage
	// listeners is the number of clients that listen, and watchers are those of WatchDecisions.
	listeners int
	watchers  map[*watcher]struct{}
	// changes are the explanations of all triggers that changed with the last scan; nil unless
	// shared.
	changes []*pb.Explanation
	shared  bool
	// encoded are the messages with these changes; nil until a watcher asked for them.
	encoded []*Frame
	// removed are the triggers that are gone since the scan that the slowest watcher has sent.
	removed []removal
	// forget clears the hub when it is no longer used.
	forget *time.Timer
}

// An entry is the last known state of one trigger.
type entry struct {
	row   Row
	state state
	// changed is the scan that found the last change, and seen the last one that found the
	// trigger.
	changed, seen uint64
	history       history
	// metadata is redacted; nil until a client asked for it. It never changes.
	metadata map[string]string
}

// A removal is a trigger that is gone, and the scan that did not find it.
type removal struct {
	scan      uint64
	key       uint64
	namespace string
	trigger   *pb.Trigger
}

func newHub(known Server, decided Policies, explain func(server.TriggerStatus, time.Time) *pb.Explanation) *hub {
	return &hub{server: known, policies: decided, explain: explain, entries: map[uint64]*entry{}, watchers: map[*watcher]struct{}{}}
}

// next returns the moment of the next scan.
func next(now time.Time) time.Time { return now.Truncate(Interval).Add(Interval) }

// join counts a client that listens until leave is called. The error is a status.
func (h *hub) join() (leave func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners >= MaxListeners {
		h.server.CountRejection("watchers")
		return nil, status.Errorf(codes.ResourceExhausted, "%d clients already watch this scaler, which is the maximum", MaxListeners)
	}
	h.listeners++
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.listeners--
	}), nil
}

// refresh scans the triggers unless that was done in the same second. mu is held.
func (h *hub) refresh(now time.Time) {
	h.keep()
	if h.scans > 0 && !now.Truncate(Interval).After(h.scanned) {
		return
	}
	h.scans++
	h.scanned = now
	h.changes, h.encoded, h.shared = nil, nil, len(h.watchers) > 0
	h.outages = nil
	h.states = [NumberOfStates]int{}
	slot := slotOf(now)
	h.server.EachTriggerStatus(now, everything, func(key uint64, t *server.TriggerStatus, complete func()) bool {
		e := h.entries[key]
		if e == nil {
			e = &entry{}
			e.history.begin(slot)
			h.entries[key] = e
		}
		if current := stateOf(t); e.seen == 0 || e.state != current {
			e.state, e.changed = current, h.scans
			e.row = rowOf(key, t)
			h.share(e, t, complete)
		}
		e.row.age(t)
		e.seen = h.scans
		e.history.add(slot, sampleOf(&e.row))
		h.states[e.row.State]++
		h.addOutage(&e.row)
		return true
	})
	h.remove()
	h.samplePolicies(slot)
}

func everything(string, string) bool { return true }

// share builds the explanation of a trigger that changed, for all clients of WatchDecisions. mu is
// held.
func (h *hub) share(e *entry, t *server.TriggerStatus, complete func()) {
	if !h.shared {
		return
	}
	if len(h.changes) == maxShared {
		h.changes, h.shared = nil, false
		return
	}
	h.changes = append(h.changes, h.explained(e, t, complete))
}

// explained returns the explanation of a trigger as it is sent. mu is held.
func (h *hub) explained(e *entry, t *server.TriggerStatus, complete func()) *pb.Explanation {
	t.Metadata = e.metadata
	complete()
	e.metadata = t.Metadata
	explained := h.explain(*t, h.scanned)
	present(explained)
	return explained
}

// remove forgets the triggers that the last scan did not find, and the removals that all watchers
// have sent. mu is held.
func (h *hub) remove() {
	for key, e := range h.entries {
		if e.seen == h.scans {
			continue
		}
		delete(h.entries, key)
		if len(h.watchers) > 0 {
			h.removed = append(h.removed, removal{scan: h.scans, key: key, namespace: e.row.Namespace, trigger: e.row.trigger()})
		}
	}
	slowest := uint64(math.MaxUint64)
	for w := range h.watchers {
		slowest = min(slowest, w.cursor)
	}
	sent := 0
	for sent < len(h.removed) && h.removed[sent].scan <= slowest {
		sent++
	}
	h.removed = h.removed[sent:]
	if len(h.removed) == 0 {
		h.removed = nil
	}
}

// keep puts off that everything is forgotten. mu is held.
func (h *hub) keep() {
	if h.forget == nil {
		h.forget = time.AfterFunc(keepUnused, h.clear)
		return
	}
	h.forget.Reset(keepUnused)
}

// clear forgets everything unless a client listens.
func (h *hub) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners > 0 {
		h.keep()
		return
	}
	clear(h.entries)
	h.entries, h.removed, h.changes, h.encoded, h.outages = map[uint64]*entry{}, nil, nil, nil, nil
	h.states = [NumberOfStates]int{}
	h.policyHistories, h.policySlot = nil, 0
	h.scans++
	h.scanned = time.Time{}
}
