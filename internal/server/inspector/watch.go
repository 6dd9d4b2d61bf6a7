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
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

const (
	// watchInterval is how often the triggers are looked at while a client watches.
	watchInterval = 500 * time.Millisecond
	// heartbeat is after how long a client that watches gets a message that nothing has
	// changed.
	heartbeat = 2 * time.Second
	// batch is how many triggers go into one message of a stream, to keep it far below
	// the 4 MiB that gRPC clients take by default.
	batch = 200
	// maxWatchers is how many clients may watch. Each costs a look at all triggers twice a
	// second.
	maxWatchers = 8
	// readPatience is how long a client may take to read a message before its watch ends.
	readPatience = 20 * time.Second
)

// WatchDecisions sends all triggers and then those whose decision changes, until
// the client goes, or does not read.
func (i *Inspector) WatchDecisions(request *pb.WatchDecisionsRequest, stream grpc.ServerStreamingServer[pb.WatchDecisionsResponse]) error {
	if i.watchers.Add(1) > maxWatchers {
		i.watchers.Add(-1)
		i.server.CountRefusal("watchers")
		return status.Errorf(codes.ResourceExhausted, "%d clients watch this scaler already, want at most that many", maxWatchers)
	}
	w := &watcher{inspector: i, wanted: of(request.GetNamespace()), stream: stream, told: map[uint64]*sight{}}
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
			// A message that is not read cannot be given up. It ends with the stream, and so
			// does the goroutine that sends it.
			if since := w.sending.Load(); since != 0 && now.Sub(time.Unix(0, since)) > readPatience {
				return status.Errorf(codes.Aborted, "a message was not read for %s", readPatience)
			}
		}
	}
}

// A watcher is one client that watches. It is of one goroutine, apart from sending.
type watcher struct {
	inspector *Inspector
	wanted    func(namespace, scaledObject string) bool
	stream    grpc.ServerStreamingServer[pb.WatchDecisionsResponse]

	// told is what the client knows, by the key of the trigger, and round counts the looks.
	told  map[uint64]*sight
	round uint64
	// changed are the triggers of the next message.
	changed []*pb.Explanation
	sent    time.Time
	// sending is since when a message is being sent, in nanoseconds since 1970; zero for none.
	sending atomic.Int64
}

// A sight is what the client was told of a trigger, and the round in which it was seen last.
type sight struct {
	trigger *pb.Trigger
	state   state
	round   uint64
}

// run looks at the triggers until the client goes.
func (w *watcher) run() error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		if err := w.look(time.Now()); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-w.stream.Context().Done():
			return status.FromContextError(w.stream.Context().Err()).Err()
		}
	}
}

// look sends what has changed since the last look, in messages of at most batch triggers.
// The last one says that it is complete. A message is made when it can be sent, so that no
// more than one is kept for a client that is slow to read.
func (w *watcher) look(now time.Time) (err error) {
	w.round++
	w.inspector.server.EachAccount(now, w.wanted, func(key uint64, a *server.Account, complete func()) bool {
		before, seen := w.told[key], look(a)
		if before != nil && before.state == seen {
			before.round = w.round
			return true
		}
		if len(w.changed) == batch {
			if err = w.send(now, nil, false); err != nil {
				return false
			}
		}
		complete()
		explained := w.inspector.explain(*a, now)
		w.changed = append(w.changed, explained)
		w.told[key] = &sight{trigger: explained.GetTrigger(), state: seen, round: w.round}
		return true
	})
	if err != nil {
		return err
	}
	var gone []*pb.Trigger
	for key, seen := range w.told {
		if seen.round != w.round {
			gone = append(gone, seen.trigger)
			delete(w.told, key)
		}
	}
	if len(w.changed) == 0 && len(gone) == 0 && now.Sub(w.sent) < heartbeat {
		return nil
	}
	w.sent = now
	return w.send(now, gone, true)
}

// send sends the changed triggers.
func (w *watcher) send(now time.Time, gone []*pb.Trigger, complete bool) error {
	slices.SortFunc(w.changed, func(a, b *pb.Explanation) int {
		x, y := a.GetTrigger(), b.GetTrigger()
		return cmp.Or(cmp.Compare(x.GetNamespace(), y.GetNamespace()), cmp.Compare(x.GetScaledObject(), y.GetScaledObject()), cmp.Compare(x.GetName(), y.GetName()))
	})
	response := &pb.WatchDecisionsResponse{At: timestamppb.New(now), Changed: w.changed, Gone: gone, Complete: complete}
	w.changed = nil
	w.sending.Store(time.Now().UnixNano())
	defer w.sending.Store(0)
	return w.stream.Send(response)
}

// A state is what counts as a change: everything but ages. It is compared twice a second for
// each trigger, so it holds nothing that has to be made first.
type state struct {
	value, target        float64
	active, armed        bool
	ready, due           int64
	inFlight             int64
	knowsInFlight        bool
	reasons              uint64
	trouble, code        string
	streams              int
	refused, unavailable bool
}

func look(a *server.Account) state {
	s := state{
		value: a.Decision.Value, target: a.Decision.Target, active: a.Decision.Active, armed: a.Seen.Armed,
		ready: a.Seen.Latest.Ready, due: a.Seen.Latest.Due, inFlight: a.Seen.Latest.InFlight.N, knowsInFlight: a.Seen.Latest.InFlight.Known,
		streams: a.Streams, refused: a.Refused, unavailable: a.Err != nil,
	}
	for _, step := range a.Decision.Steps {
		s.reasons = mix(s.reasons, string(step.Reason))
	}
	if a.Err != nil || a.Seen.Err != nil {
		s.trouble, s.code = reason(a), a.Code
	}
	return s
}

// mix adds a text to a hash, FNV-1a without its offset.
func mix(sum uint64, text string) uint64 {
	for i := range len(text) {
		sum = (sum ^ uint64(text[i])) * 1099511628211
	}
	return (sum ^ ' ') * 1099511628211
}
