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

func (noConnections) Connections() []backlog.ConnectionState { return nil }

// newInspector returns one of a server with so many triggers, which read nothing any more.
func newInspector(t testing.TB, triggers int) *Inspector {
	t.Helper()
	i, _ := newInspectorOf(t, triggers, time.Hour)
	return i
}

// newInspectorOf returns the queues, too, which are read so often.
func newInspectorOf(t testing.TB, triggers int, interval time.Duration) (*Inspector, *backlogtest.Fake) {
	t.Helper()
	fake := backlogtest.NewFake()
	engines := []backlog.Engine{fake.Engine()}
	s := sampler.New(engines, sampler.Options{SafetyInterval: interval, ActiveInterval: interval})
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
	return New(srv, noConnections{}, nil, func() error { return nil }), fake
}

// A recorder counts the messages of a watcher.
type recorder struct {
	mu       sync.Mutex
	messages []*pb.WatchDecisionsResponse
}

func (r *recorder) send(f *Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, f.Message)
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

// TestQuietWatchIsCheap: a scan of triggers without a change allocates next to nothing, however
// many there are.
func TestQuietWatchIsCheap(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	const triggers = 1000
	i := newInspector(t, triggers)
	var stream recorder
	w := i.hub.watch("", stream.send)
	defer w.end()
	now := time.Now()
	if err := w.step(now); err != nil {
		t.Fatal(err)
	}
	if sent, largest := stream.explained(); sent != triggers || largest > batch {
		t.Fatalf("the first step sent %d triggers, %d at once", sent, largest)
	}
	// Whatever else the process does at a time counts too, so the least of some tries counts.
	allocations := math.Inf(1)
	for range 20 {
		now = now.Add(Interval)
		allocations = min(allocations, testing.AllocsPerRun(1, func() {
			if err := w.step(now); err != nil {
				t.Fatal(err)
			}
		}))
	}
	if sent, _ := stream.explained(); sent != 0 {
		t.Errorf("later steps sent %d triggers", sent)
	}
	if allocations > 100 {
		t.Errorf("a step of %d triggers allocates %v objects", triggers, allocations)
	}
}

func BenchmarkQuietWatch(b *testing.B) {
	i := newInspector(b, 10_000)
	w := i.hub.watch("", new(recorder).send)
	defer w.end()
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(Interval)
		if err := w.step(now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList is what a list of all triggers costs while none changes.
func BenchmarkList(b *testing.B) {
	i := newInspector(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.ListTriggers(b.Context(), &pb.ListTriggersRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkQuery is what one page of rows costs, without the scan.
func BenchmarkQuery(b *testing.B) {
	i := newInspector(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		i.Triggers(&Query{Text: "orders-7"})
	}
}

// TestWatchersAreBounded: one more than there may be gets a clear error, and one that goes
// makes room.
func TestWatchersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newInspector(t, 3)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, MaxListeners)
		for range MaxListeners {
			go func() { ended <- i.WatchDecisions(ctx, &pb.WatchDecisionsRequest{}, new(recorder).send) }()
		}
		synctest.Wait()
		if err := i.WatchDecisions(t.Context(), &pb.WatchDecisionsRequest{}, new(recorder).send); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("one more: %v", err)
		}
		if _, err := i.Listen(); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a page: %v", err)
		}
		cancel()
		for range MaxListeners {
			if err := <-ended; status.Code(err) != codes.Canceled {
				t.Errorf("a watch that was cancelled: %v", err)
			}
		}
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := i.WatchDecisions(ctx, &pb.WatchDecisionsRequest{}, new(recorder).send); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("after the others have gone: %v", err)
		}
	})
}

// TestSlowWatcherGetsTheLatest: a client that missed scans gets each trigger that changed meanwhile
// once, and what is gone.
func TestSlowWatcherGetsTheLatest(t *testing.T) {
	t.Parallel()
	i, fake := newInspectorOf(t, 5, time.Millisecond)
	var slow, fast recorder
	slowWatcher, fastWatcher := i.hub.watch("", slow.send), i.hub.watch("", fast.send)
	defer slowWatcher.end()
	defer fastWatcher.end()
	now := time.Now()
	step := func(w *watcher) {
		t.Helper()
		if err := w.step(now); err != nil {
			t.Fatal(err)
		}
	}
	step(slowWatcher)
	step(fastWatcher)
	slow.explained()
	fast.explained()
	for ready := range int64(3) {
		fake.SetReady("orders-1", 100+ready)
		fake.SetReady("orders-2", 200+ready)
		awaitReady(t, i, "orders-2", 200+ready)
		awaitReady(t, i, "orders-1", 100+ready)
		now = now.Add(Interval)
		step(fastWatcher)
	}
	if sent, _ := fast.explained(); sent != 6 {
		t.Errorf("the fast watcher got %d triggers, want each change", sent)
	}
	step(slowWatcher)
	slow.mu.Lock()
	defer slow.mu.Unlock()
	got := map[string]int64{}
	for _, m := range slow.messages {
		for _, e := range m.GetChanged() {
			got[e.GetTrigger().GetQueue()] = e.GetReading().GetReady()
		}
	}
	if len(slow.messages) != 1 || len(got) != 2 || got["orders-1"] != 102 || got["orders-2"] != 202 {
		t.Errorf("the slow watcher got %v in %d messages", got, len(slow.messages))
	}
}

// awaitReady waits until a queue has so many messages.
func awaitReady(t *testing.T, i *Inspector, queue string, ready int64) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		for _, s := range i.server.TriggerStatuses(time.Now(), everything) {
			if s.Trigger.Query.Queue == queue && s.Observation.Latest.Ready == ready {
				return
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s never has %d messages", queue, ready)
}
