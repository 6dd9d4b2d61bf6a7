package jetstream_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

// TestCluster: while leaders change, servers stop and the whole cluster starts again, a queue of 5 waiting
// and 2 in flight is never read as less.
func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := jetstreamtest.Start(t, 3)
	client := cluster.NewClient(t)
	source := open(t, cluster, nil)
	// A leader is chosen by the servers; of several streams each is on another.
	var queries []backlog.Query
	for _, replicas := range []int{1, 3, 3} {
		stream := made(t, client, natsjs.StreamConfig{Replicas: replicas}, natsjs.ConsumerConfig{AckWait: time.Hour})
		client.Publish(t, stream+".new", 7)
		client.Take(t, stream, worker, 2)
		await(t, source, query(stream), "5 and 2", func(r backlog.Reading) bool { return r.Ready == 5 && r.InFlight == backlog.Exactly(2) })
		queries = append(queries, query(stream))
	}
	w := watch(t, source, queries, func(r backlog.Reading) bool { return r.Ready == 5 && r.InFlight == backlog.Exactly(2) })
	w.until(t, "each reads as 5 and 2")
	for range 3 {
		for _, q := range queries[1:] {
			w.meanwhile(t, func() {
				stepDown(t, client, "$JS.API.CONSUMER.LEADER.STEPDOWN."+q.Queue+"."+worker)
				stepDown(t, client, "$JS.API.STREAM.LEADER.STEPDOWN."+q.Queue)
			})
			w.until(t, "it is read after leaders changed")
		}
	}
	for _, node := range cluster.Nodes {
		w.meanwhile(t, node.Kill)
		w.some(t, "those that are left are read")
		node.Restart(t)
		if err := cluster.Await(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.until(t, "it is read after a server was stopped")
	}
	w.meanwhile(t, func() {
		for _, node := range cluster.Nodes {
			node.Kill()
		}
		for _, node := range cluster.Nodes {
			node.Restart(t)
		}
	})
	w.until(t, "it is read after all servers were started again")
	if w.failed == 0 {
		t.Error("no read failed, so that the outages were not seen")
	}
}

// stepDown makes a leader step down. It may be on its way to do so.
func stepDown(t *testing.T, client *jetstreamtest.Client, subject string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := client.Conn.RequestWithContext(ctx, subject, nil); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrNoResponders) {
		t.Error(err)
	}
}

// A watcher reads queries whose numbers do not change, again and again.
type watcher struct {
	source  backlog.Source
	queries []backlog.Query
	right   func(backlog.Reading) bool
	failed  int
}

func watch(t *testing.T, source backlog.Source, queries []backlog.Query, right func(backlog.Reading) bool) *watcher {
	t.Helper()
	return &watcher{source: source, queries: queries, right: right}
}

// read reads once, and returns how many readings there are. Each must be right, and each error an outage.
func (w *watcher) read(t *testing.T) (good int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for i, r := range w.source.Read(ctx, w.queries, nil) {
		switch {
		case r.Err == nil && w.right(r.Reading):
			good++
		case r.Err == nil:
			t.Fatalf("%v reads as %+v", w.queries[i], r.Reading)
		case errors.Is(r.Err, backlog.ErrUnavailable) || errors.Is(r.Err, backlog.ErrPartial):
			w.failed++
		default:
			t.Fatalf("%v fails with %v", w.queries[i], r.Err)
		}
	}
	return good
}

// until reads until all have a reading.
func (w *watcher) until(t *testing.T, what string) {
	t.Helper()
	eventually(t, what, func() bool { return w.read(t) == len(w.queries) })
}

// some reads until more than one has a reading.
func (w *watcher) some(t *testing.T, what string) {
	t.Helper()
	eventually(t, what, func() bool { return w.read(t) > 1 })
}

// meanwhile reads while something happens.
func (w *watcher) meanwhile(t *testing.T, happen func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		happen()
	}()
	for {
		w.read(t)
		select {
		case <-done:
			w.read(t)
			return
		default:
		}
	}
}

// TestClusterWakes: messages that come by way of another server wake.
func TestClusterWakes(t *testing.T) {
	t.Parallel()
	cluster := jetstreamtest.Start(t, 3)
	client := cluster.NewClient(t)
	stream := made(t, client, natsjs.StreamConfig{Replicas: 3}, natsjs.ConsumerConfig{})
	q := query(stream)
	for _, node := range cluster.Nodes {
		source := backlogtest.Open(t, jetstream.Engine(), settings([]string{node.Address}, nil))
		wakeups := backlogtest.Listen(t, source)
		backlogtest.Arm(t, source, wakeups, q)
		client.Publish(t, stream+".new", 1)
		wakeups.Await(t, q)
		await(t, source, q, "1 message", func(r backlog.Reading) bool { return r.Ready == 1 })
		client.Work(t, stream, worker, 1)
	}
}

// TestMissingLeader: a consumer whose servers are stopped delays no other, and is an outage of its own.
func TestMissingLeader(t *testing.T) {
	t.Parallel()
	cluster := jetstreamtest.Start(t, 3)
	client := cluster.NewClient(t)
	// The servers choose where a stream without replicas is.
	on := map[string]string{}
	eventually(t, "streams are on several servers", func() bool {
		stream := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
		client.Publish(t, stream+".new", 3)
		s, err := client.JS.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		on[s.CachedInfo().Cluster.Leader] = stream
		return len(on) > 1
	})
	var gone *jetstreamtest.Node
	for _, node := range cluster.Nodes {
		if on[node.Name] != "" {
			gone = node
		}
	}
	var others []backlog.Query
	var addresses []string
	for _, node := range cluster.Nodes {
		if node == gone {
			continue
		}
		addresses = append(addresses, node.Address)
		if stream := on[node.Name]; stream != "" {
			others = append(others, query(stream))
		}
	}
	source := backlogtest.Open(t, jetstream.Engine(), settings(addresses, nil))
	lost := query(on[gone.Name])
	await(t, source, lost, "3 messages", func(r backlog.Reading) bool { return r.Ready == 3 })
	gone.Kill()
	eventually(t, "the others are read at once next to one without a server", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		results := source.Read(ctx, append([]backlog.Query{lost}, others...), nil)
		quick := time.Since(began) < 800*time.Millisecond
		for _, r := range results[1:] {
			if r.Err != nil || r.Reading.Ready != 3 {
				return false
			}
		}
		if !errors.Is(results[0].Err, backlog.ErrUnavailable) {
			t.Fatalf("a stream without a server reads as %+v", results[0])
		}
		return quick
	})
	gone.Restart(t)
	await(t, source, lost, "3 messages again", func(r backlog.Reading) bool { return r.Ready == 3 })
}

// TestFrozen: a server that holds its connections and answers nothing is an outage within the bound of the
// read, on each of many reads, and is read again when it is thawed.
func TestFrozen(t *testing.T) {
	t.Parallel()
	cluster := jetstreamtest.Start(t, 1, jetstreamtest.Children())
	client := cluster.NewClient(t)
	source := open(t, cluster, nil)
	stream := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
	client.Publish(t, stream+".new", 5)
	q := query(stream)
	right := func(r backlog.Reading) bool { return r.Ready == 5 }
	await(t, source, q, "5 messages", right)
	for range 2 {
		cluster.Nodes[0].Freeze(t)
		// A process stops a moment after the signal was sent.
		eventually(t, "the server is frozen", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			return source.Read(ctx, []backlog.Query{q}, nil)[0].Err != nil
		})
		for range 4 {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			began := time.Now()
			r := source.Read(ctx, []backlog.Query{q}, nil)[0]
			cancel()
			if !errors.Is(r.Err, backlog.ErrUnavailable) {
				t.Fatalf("a frozen server reads as %+v", r)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("a read of at most 300ms took %s", took)
			}
		}
		cluster.Nodes[0].Thaw(t)
		await(t, source, q, "5 messages", right)
	}
}

// TestFrozenNode: a frozen server of a cluster, to which the connection leads, is left for another one.
func TestFrozenNode(t *testing.T) {
	t.Parallel()
	cluster := jetstreamtest.Start(t, 3, jetstreamtest.Children())
	client := cluster.NewClient(t)
	source := open(t, cluster, nil)
	stream := made(t, client, natsjs.StreamConfig{Replicas: 3}, natsjs.ConsumerConfig{})
	client.Publish(t, stream+".new", 5)
	await(t, source, query(stream), "5 messages", func(r backlog.Reading) bool { return r.Ready == 5 })
	w := watch(t, source, []backlog.Query{query(stream)}, func(r backlog.Reading) bool { return r.Ready == 5 && r.InFlight == backlog.Exactly(0) })
	w.until(t, "it reads as 5")
	for _, node := range cluster.Nodes {
		node.Freeze(t)
		w.until(t, "it is read by way of another server")
		node.Thaw(t)
		w.until(t, "it is read when all answer")
	}
	// The connection leads to one of them, whichever that is.
	if w.failed == 0 {
		t.Error("no read failed, so that the freeze was not seen")
	}
}

// TestRestart: a server that is started again is read again, and a stream in memory that is gone is
// missing, not empty.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := jetstreamtest.Start(t, 1)
	client := server.NewClient(t)
	source := open(t, server, nil)
	kept := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{AckWait: time.Hour})
	volatile := made(t, client, natsjs.StreamConfig{Storage: natsjs.MemoryStorage}, natsjs.ConsumerConfig{})
	for _, stream := range []string{kept, volatile} {
		client.Publish(t, stream+".new", 5)
	}
	client.Take(t, kept, worker, 2)
	await(t, source, query(kept), "3 and 2", func(r backlog.Reading) bool { return r.Ready == 3 && r.InFlight.N == 2 })
	await(t, source, query(volatile), "5 messages", func(r backlog.Reading) bool { return r.Ready == 5 })
	w := watch(t, source, []backlog.Query{query(kept)}, func(r backlog.Reading) bool { return r.Ready == 3 && r.InFlight == backlog.Exactly(2) })
	w.until(t, "it reads as 3 and 2")
	before := backlogtest.MustRead(t, source, query(volatile))
	w.meanwhile(t, server.Nodes[0].Kill)
	server.Nodes[0].Restart(t)
	w.until(t, "it is read again")
	if after := backlogtest.Read(t, source, query(volatile))[0]; after.Err == nil && !after.Reading.Missing && after.Reading.Epoch == before.Epoch {
		t.Errorf("a stream that lost its messages reads as %+v", after)
	}
}

// TestCutDuringReads: connections that end at any moment of a read are an outage, and never a smaller
// number.
func TestCutDuringReads(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	proxy := backlogtest.NewProxy(t, server.Nodes[0].Address)
	source := backlogtest.Open(t, jetstream.Engine(), settings([]string{proxy.Addr()}, nil))
	var queries []backlog.Query
	for range 10 {
		stream := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
		client.Publish(t, stream+".new", 3)
		await(t, source, query(stream), "3 messages", func(r backlog.Reading) bool { return r.Ready == 3 })
		queries = append(queries, query(stream))
	}
	w := watch(t, source, queries, func(r backlog.Reading) bool { return r.Ready == 3 })
	w.until(t, "each reads as 3")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			proxy.Cut()
			time.Sleep(3 * time.Millisecond)
		}
	}()
	for reading := true; reading; {
		w.read(t)
		select {
		case <-done:
			reading = false
		default:
		}
	}
	w.until(t, "each is read again")
	if w.failed == 0 {
		t.Error("no read failed, so that the cuts were not seen")
	}
}

// TestLostMessages: the epoch names the life of a stream: it changes when the stream is made again, and
// stays when messages come and go.
func TestLostMessages(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	stream := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
	client.Publish(t, stream+".new", 2)
	first := backlogtest.MustRead(t, source, query(stream))
	client.Work(t, stream, worker, 2)
	if same := backlogtest.MustRead(t, source, query(stream)); same.Epoch != first.Epoch || !strings.Contains(first.Epoch, "T") {
		t.Errorf("the epoch of a stream that lives on is %q and %q", first.Epoch, same.Epoch)
	}
	if err := client.JS.DeleteStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	if r := backlogtest.MustRead(t, source, query(stream)); !r.Missing {
		t.Errorf("a deleted stream reads as %+v", r)
	}
	made(t, client, natsjs.StreamConfig{Name: stream}, natsjs.ConsumerConfig{})
	if other := backlogtest.MustRead(t, source, query(stream)); other.Epoch == first.Epoch {
		t.Errorf("the epoch of another stream is %q too", other.Epoch)
	}
}
