package inspector

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pbkeda "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// observer gives the sampler the server's shape.
type observer struct{ *sampler.Sampler }

func (o observer) Subscribe(want backlog.Interest) (server.Subscription, error) {
	return o.Sampler.Subscribe(want)
}

// noConnections knows no connection.
type noConnections struct{}

func (noConnections) Status(string) (backlog.Status, bool) { return backlog.Status{}, false }

// newInspector returns one of a server with so many triggers, which read nothing any more.
func newInspector(t testing.TB, triggers int) *Inspector {
	t.Helper()
	fake := backlogtest.NewFake()
	engines := []backlog.Engine{fake.Engine()}
	s := sampler.New(engines, sampler.Options{SafetyInterval: time.Hour, ActiveInterval: time.Hour})
	t.Cleanup(s.Close)
	connections := []backlog.Connection{{Name: "main", Engine: "fake", Namespaces: []string{"*"}}}
	if err := s.Apply(t.Context(), connections); err != nil {
		t.Fatal(err)
	}
	srv := server.New(observer{s}, trigger.NewCatalog(connections, engines), server.Options{MaxTriggersPerNamespace: triggers})
	for i := range triggers {
		queue := fmt.Sprint("orders-", i)
		fake.SetReady(queue, int64(i%100))
		ref := &pbkeda.ScaledObjectRef{Namespace: "shop", Name: fmt.Sprint("worker-", i), ScalerMetadata: map[string]string{
			"scalerAddress": "scaler:9090", "connection": "main", "queue": queue, "target": "10", "activation": "2", "maxStaleness": "1m",
		}}
		if _, err := srv.IsActive(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	return New(srv, noConnections{}, nil, func() error { return nil })
}

// A recorder is a stream whose messages are counted, or not read.
type recorder struct {
	grpc.ServerStream

	ctx     context.Context //nolint:containedctx // a stream has one
	stalled bool

	mu       sync.Mutex
	messages []*pb.WatchDecisionsResponse
}

func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Send(m *pb.WatchDecisionsResponse) error {
	if r.stalled {
		<-r.ctx.Done()
		return r.ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	return nil
}

// explained returns how many triggers the messages explain, and forgets them.
func (r *recorder) explained() (triggers, largest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		triggers += len(m.GetChanged())
		largest = max(largest, len(m.GetChanged()))
	}
	r.messages = nil
	return triggers, largest
}

func (i *Inspector) watch(stream *recorder) *watcher {
	return &watcher{inspector: i, wanted: inNamespace(""), stream: stream, sent: map[uint64]*snapshot{}}
}

// TestQuietWatchIsCheap: a scan of triggers without a change allocates next to nothing, however
// many there are.
func TestQuietWatchIsCheap(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	const triggers = 1000
	i := newInspector(t, triggers)
	stream := &recorder{ctx: t.Context()}
	w := i.watch(stream)
	if err := w.scan(time.Now()); err != nil {
		t.Fatal(err)
	}
	if sent, largest := stream.explained(); sent != triggers || largest > batch {
		t.Fatalf("the first scan sent %d triggers, %d at once", sent, largest)
	}
	// Whatever else the process does at a time counts too, so the least of some tries counts.
	allocations := math.Inf(1)
	for range 20 {
		allocations = min(allocations, testing.AllocsPerRun(1, func() {
			if err := w.scan(time.Now()); err != nil {
				t.Fatal(err)
			}
		}))
	}
	if sent, _ := stream.explained(); sent != 0 {
		t.Errorf("later scans sent %d triggers", sent)
	}
	if allocations > 100 {
		t.Errorf("a scan of %d triggers allocates %v objects", triggers, allocations)
	}
}

func BenchmarkQuietWatch(b *testing.B) {
	i := newInspector(b, 10_000)
	w := i.watch(&recorder{ctx: b.Context()})
	if err := w.scan(time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := w.scan(time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWatchersAreBounded: one more than there may be gets a clear error, and one that goes
// makes room.
func TestWatchersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newInspector(t, 3)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, maxWatchers)
		for range maxWatchers {
			go func() { ended <- i.WatchDecisions(&pb.WatchDecisionsRequest{}, &recorder{ctx: ctx}) }()
		}
		synctest.Wait()
		if err := i.WatchDecisions(&pb.WatchDecisionsRequest{}, &recorder{ctx: t.Context()}); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("one more: %v", err)
		}
		cancel()
		for range maxWatchers {
			if err := <-ended; status.Code(err) != codes.Canceled {
				t.Errorf("a watch that was cancelled: %v", err)
			}
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := i.WatchDecisions(&pb.WatchDecisionsRequest{}, &recorder{ctx: ctx}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("after the others have gone: %v", err)
		}
	})
}

// TestWatcherThatDoesNotReadIsEnded, so that it does not keep the place of another one.
func TestWatcherThatDoesNotReadIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newInspector(t, 3)
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		err := i.WatchDecisions(&pb.WatchDecisionsRequest{}, &recorder{ctx: ctx, stalled: true})
		if took := time.Since(began); status.Code(err) != codes.Aborted || took > 30*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
		cancel() // gRPC does that when the handler has returned
		synctest.Wait()
		if n := i.watchers.Load(); n != 0 {
			t.Errorf("%d clients watch", n)
		}
	})
}
