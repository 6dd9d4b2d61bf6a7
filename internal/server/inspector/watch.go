package inspector

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

const (
	// watchInterval is the time between two scans of the triggers for a watching client.
	watchInterval = 500 * time.Millisecond
	// heartbeat is the time after which a client gets a message although nothing changed.
	heartbeat = 2 * time.Second
	// batch is the number of triggers in one message, far below the 4 MiB that gRPC clients
	// accept by default.
	batch = 200
	// maxWatchers is the number of clients that may watch. Each costs two scans of all
	// triggers a second.
	maxWatchers = 8
	// readTimeout is how long a client may take to read a message before its watch ends.
	readTimeout = 20 * time.Second
)

// WatchDecisions sends all triggers and then those whose decision changed, until the client
// ends the stream or does not read.
func (i *Inspector) WatchDecisions(request *pb.WatchDecisionsRequest, stream grpc.ServerStreamingServer[pb.WatchDecisionsResponse]) error {
	if i.watchers.Add(1) > maxWatchers {
		i.watchers.Add(-1)
		i.server.CountRejection("watchers")
		return status.Errorf(codes.ResourceExhausted, "%d clients already watch this scaler, which is the maximum", maxWatchers)
	}
	w := &watcher{inspector: i, wanted: inNamespace(request.GetNamespace()), stream: stream, sent: map[uint64]*snapshot{}}
	ended := make(chan error, 1)
	go func() {
		defer i.watchers.Add(-1)
		defer func() {
			if p := recover(); p != nil {
				ended <- status.Error(codes.Internal, fmt.Sprintf("internal error: %v", p))
			}
		}()
		ended <- w.run()
	}()
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case now := <-ticker.C:
			// A Send cannot be interrupted. It ends with the stream, and so does the goroutine
			// that sends.
			if since := w.sending.Load(); since != 0 && now.Sub(time.Unix(0, since)) > readTimeout {
				return status.Errorf(codes.Aborted, "a message was not read for %s", readTimeout)
			}
		}
	}
}

// A watcher serves one watching client. One goroutine uses it, except for sending.
type watcher struct {
	inspector *Inspector
	wanted    func(namespace, scaledObject string) bool
	stream    grpc.ServerStreamingServer[pb.WatchDecisionsResponse]

	// sent has the last snapshot of each trigger that the client got, by key. scans counts
	// the scans.
	sent  map[uint64]*snapshot
	scans uint64
	// changed are the triggers of the next message, and lastSent when the last complete one
	// was sent.
	changed  []*pb.Explanation
	lastSent time.Time
	// sending is when the message that is being sent began, in nanoseconds since 1970; zero
	// for none. The goroutine of run writes it, that of WatchDecisions reads it.
	sending atomic.Int64
}

// A snapshot is what the client got about a trigger, and the last scan that found it.
type snapshot struct {
	trigger *pb.Trigger
	state   state
	scan    uint64
}

// run scans the triggers until the stream ends.
func (w *watcher) run() error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		if err := w.scan(time.Now()); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-w.stream.Context().Done():
			return status.FromContextError(w.stream.Context().Err()).Err()
		}
	}
}

// scan sends the changes since the last scan, in messages of at most batch triggers. The last
// one is marked as complete. A message is built when it can be sent, so that a slow client
// has at most one in memory.
func (w *watcher) scan(now time.Time) (err error) {
	w.scans++
	w.inspector.server.EachTriggerStatus(now, w.wanted, func(key uint64, t *server.TriggerStatus, complete func()) bool {
		before, current := w.sent[key], stateOf(t)
		if before != nil && before.state == current {
			before.scan = w.scans
			return true
		}
		if len(w.changed) == batch {
			if err = w.send(now, nil, false); err != nil {
				return false
			}
		}
		complete()
		explained := w.inspector.explain(*t, now)
		w.changed = append(w.changed, explained)
		w.sent[key] = &snapshot{trigger: explained.GetTrigger(), state: current, scan: w.scans}
		return true
	})
	if err != nil {
		return err
	}
	var removed []*pb.Trigger
	for key, last := range w.sent {
		if last.scan != w.scans {
			removed = append(removed, last.trigger)
			delete(w.sent, key)
		}
	}
	if len(w.changed) == 0 && len(removed) == 0 && now.Sub(w.lastSent) < heartbeat {
		return nil
	}
	w.lastSent = now
	return w.send(now, removed, true)
}

// send sends the changed and the removed triggers.
func (w *watcher) send(now time.Time, removed []*pb.Trigger, complete bool) error {
	slices.SortFunc(w.changed, func(a, b *pb.Explanation) int {
		x, y := a.GetTrigger(), b.GetTrigger()
		return cmp.Or(cmp.Compare(x.GetNamespace(), y.GetNamespace()), cmp.Compare(x.GetScaledObject(), y.GetScaledObject()), cmp.Compare(x.GetName(), y.GetName()))
	})
	response := &pb.WatchDecisionsResponse{At: timestamppb.New(now), Changed: w.changed, Removed: removed, Complete: complete}
	w.changed = nil
	w.sending.Store(time.Now().UnixNano())
	defer w.sending.Store(0)
	return w.stream.Send(response)
}

// A state has what counts as a change: everything except ages. It is compared twice a second
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
