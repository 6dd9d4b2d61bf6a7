package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka"
)

// A fake is a cluster in this process, whose answers a test can replace.
type fake struct {
	*kfake.Cluster

	client *kgo.Client
	admin  *kadm.Client
	// open are the connections that are open now, by the address of the broker.
	open *connections
}

// connections counts the open connections of listeners.
type connections struct {
	mu  sync.Mutex
	n   map[string]int
	max map[string]int
}

// A countedListener counts what it accepts.
type countedListener struct {
	net.Listener

	to *connections
}

// A countedConn is one connection of a countedListener.
type countedConn struct {
	net.Conn

	closed  sync.Once
	to      *connections
	address string
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.to.add(address, 1)
	return &countedConn{Conn: c, to: l.to, address: address}, nil
}

func (c *countedConn) Close() error {
	c.closed.Do(func() { c.to.add(c.address, -1) })
	return c.Conn.Close()
}

func (c *connections) add(address string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[address] += n
	c.max[address] = max(c.max[address], c.n[address])
}

// reset begins to look for the largest numbers again.
func (c *connections) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.max, c.n)
}

func newFake(t testing.TB, opts ...kfake.Opt) *fake {
	t.Helper()
	f := &fake{open: &connections{n: make(map[string]int), max: make(map[string]int)}}
	listen := func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address) //nolint:noctx // binding a local port cannot block
		return countedListener{l, f.open}, err
	}
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.ListenFn(listen)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	f.Cluster = cluster
	f.client, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.client.Close)
	f.admin = kadm.NewClient(f.client)
	return f
}

func (f *fake) source(t testing.TB, more map[string]any) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, kafka.Engine(), connection(f.ListenAddrs(), more))
}

// produce writes n messages to a partition of the topic "orders".
func (f *fake) produce(t testing.TB, partition int32, n int) {
	t.Helper()
	for range n {
		if err := f.client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Partition: partition, Value: []byte("work")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *fake) commit(t testing.TB, group, topic string, partition int32, offset int64) {
	t.Helper()
	offsets := make(kadm.Offsets)
	offsets.AddOffset(topic, partition, offset, -1)
	if err := f.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

// answer replaces the answers to one kind of request until the test ends.
func answer[Q, R any](f *fake, key kmsg.Key, build func(q *Q) *R) {
	f.ControlKey(int16(key), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		q, _ := any(r).(*Q)
		response, ok := any(build(q)).(kmsg.Response)
		if !ok {
			return nil, nil, false
		}
		response.SetVersion(r.GetVersion())
		return response, nil, true
	})
}

// TestStaleLeader: the first answer after a partition has moved is not believed, neither an error nor an
// end that is lower than before. The same read asks again.
func TestStaleLeader(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "orders"))
	f.produce(t, 0, 5)
	f.commit(t, "billing", "orders", 0, 1)
	source := f.source(t, nil)
	q := query("orders", "billing")
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 4 {
		t.Fatalf("4 of 5 read as %+v", r)
	}
	leader := f.LeaderFor("orders", 0)
	if err := f.MoveTopicPartition("orders", 0, (leader+1)%3); err != nil {
		t.Fatal(err)
	}
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 4 {
		t.Errorf("4 of 5 at another leader read as %+v", r)
	}
	var once atomic.Bool
	f.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		request, ok := r.(*kmsg.ListOffsetsRequest)
		if !ok || once.Swap(true) {
			return nil, nil, false
		}
		return oldEnd(request), nil, true
	})
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 4 || !once.Load() {
		t.Errorf("4 of 5 after an answer of a former leader read as %+v", r)
	}
	f.RehashCoordinators()
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 4 {
		t.Errorf("4 of 5 with another coordinator read as %+v", r)
	}
}

// oldEnd says that partition 0 ends at 1.
func oldEnd(request *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
	r := kmsg.NewPtrListOffsetsResponse()
	r.SetVersion(request.GetVersion())
	topic := kmsg.NewListOffsetsResponseTopic()
	topic.Topic = "orders"
	p := kmsg.NewListOffsetsResponseTopicPartition()
	p.Offset = 1
	topic.Partitions = append(topic.Partitions, p)
	r.Topics = append(r.Topics, topic)
	return r
}

// TestLostMessages: an end that stays lower than before is a loss, which changes the epoch.
func TestLostMessages(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	f.produce(t, 0, 5)
	source := f.source(t, nil)
	q := query("orders", "billing")
	before := backlogtest.MustRead(t, source, q)
	answer(f, kmsg.ListOffsets, func(r *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
		end := oldEnd(r)
		end.Topics[0].Partitions[0].Offset = 0
		if r.Topics[0].Partitions[0].Timestamp == -1 {
			end.Topics[0].Partitions[0].Offset = 3
		}
		return end
	})
	after := backlogtest.MustRead(t, source, q)
	if after.Backlog() != 3 || after.Epoch == before.Epoch {
		t.Errorf("3 that are left of 5 read as %+v, want another epoch than %q", after, before.Epoch)
	}
}

// TestDeletedMeanwhile: where all that a group had before it was deleted between two answers of a read,
// and more was written, the same read asks again.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	source := f.source(t, nil)
	ends := make(chan int64, 2)
	ends <- 5
	ends <- 12
	answer(f, kmsg.ListOffsets, func(r *kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
		said := oldEnd(r)
		// It starts at 8.
		said.Topics[0].Partitions[0].Offset = 8
		if r.Topics[0].Partitions[0].Timestamp == -1 {
			said.Topics[0].Partitions[0].Offset = <-ends
		}
		return said
	})
	if r := backlogtest.MustRead(t, source, query("orders", "billing")); r.Backlog() != 4 {
		t.Errorf("4 that were written while a read was under way read as %+v", r)
	}
}

// TestManyGroups: a thousand groups of as many topics are read in a handful of requests, and no more
// than three connections to each broker are open, also while they are waited for.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	const n, brokers = 1000, 3
	topics := make([]string, n)
	queries := make([]backlog.Query, n)
	for i := range topics {
		topics[i] = fmt.Sprintf("topic-%d", i)
		queries[i] = query(topics[i], fmt.Sprintf("group-%d", i))
	}
	f := newFake(t, kfake.NumBrokers(brokers), kfake.SeedTopics(1, topics...))
	f.client.Close()
	f.open.reset()
	source := f.source(t, nil)
	wakeups := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, wakeups, queries...)

	var mu sync.Mutex
	requests := make(map[string]int)
	f.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		requests[kmsg.NameForKey(r.Key())]++
		return nil, nil, false
	})
	for _, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Missing {
			t.Fatalf("an empty topic reads as %+v", r)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	// The group has committed nothing, so the starts are asked for, too.
	if requests["OffsetFetch"] > brokers || requests["ListOffsets"] > 2*brokers || requests["FindCoordinator"] > 0 {
		t.Errorf("%d queries took %v, want at most %d OffsetFetch and %d ListOffsets", n, requests, brokers, 2*brokers)
	}
	f.open.mu.Lock()
	defer f.open.mu.Unlock()
	for address, most := range f.open.max {
		if most > 3 {
			t.Errorf("%d connections to %s were open, want at most 3", most, address)
		}
	}
}

// TestSeveralTopics: one read is enough for all topics of a query to be waited at.
func TestSeveralTopics(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "a", "b", "c"))
	fetched := make(chan string)
	f.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if request, ok := r.(*kmsg.FetchRequest); ok {
			for i := range request.Topics {
				select {
				case fetched <- request.Topics[i].Topic:
				case <-t.Context().Done():
				}
			}
		}
		return nil, nil, false
	})
	backlogtest.MustRead(t, f.source(t, nil), query("a,b,c", "billing"))
	topics := make(map[string]struct{})
	for deadline := time.After(patience); len(topics) < 3; {
		select {
		case topic := <-fetched:
			topics[topic] = struct{}{}
		case <-deadline:
			t.Fatalf("after one read %v are waited at", topics)
		}
	}
}

// TestLostSession: a broker that forgets a fetch session loses no change.
func TestLostSession(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	f.commit(t, "billing", "orders", 0, 0)
	source := f.source(t, nil)
	wakeups := backlogtest.Listen(t, source)
	q := query("orders", "billing")
	backlogtest.Arm(t, source, wakeups, q)
	lost := make(chan struct{})
	f.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		response := kmsg.NewPtrFetchResponse()
		response.SetVersion(r.GetVersion())
		response.ErrorCode = kerr.FetchSessionIDNotFound.Code
		close(lost)
		return response, nil, true
	})
	<-lost
	f.produce(t, 0, 1)
	wakeups.Await(t, q)
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 1 {
		t.Errorf("1 reads as %+v", r)
	}
}

// TestSilentBroker: a broker that does not answer is waited for once, and delays no later read.
func TestSilentBroker(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "orders"))
	f.produce(t, 0, 2)
	f.commit(t, "billing", "orders", 0, 0)
	if err := f.MoveTopicPartition("orders", 0, 1-f.CoordinatorFor("billing")); err != nil {
		t.Fatal(err)
	}
	source := f.source(t, map[string]any{"answerTimeout": 200 * time.Millisecond})
	q := query("orders", "billing")
	eventually(t, source, q, wantBacklog(2))
	awake := make(chan struct{})
	f.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		f.SleepControl(func() { <-awake })
		return nil, nil, false
	})
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r := source.Read(ctx, []backlog.Query{q}, nil)[0]
		cancel()
		if !errors.Is(r.Err, backlog.ErrUnavailable) {
			t.Errorf("a silent leader reads as %+v", r)
		}
	}
	close(awake)
	eventually(t, source, q, wantBacklog(2))
}

// TestMissingTopic: a topic that does not exist is missing, and one that cannot exist is no outage.
func TestMissingTopic(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	source := f.source(t, nil)
	queries := []backlog.Query{query("nothing", "billing"), query("no-*", "billing"), query("nothing,orders", "billing")}
	for i, r := range backlogtest.Read(t, source, queries...) {
		if r.Err != nil || r.Reading.Backlog() != 0 || r.Reading.Missing != (queries[i].Queue != "nothing,orders") {
			t.Errorf("%s, where only the topic orders exists, reads as %+v", queries[i].Queue, r)
		}
	}
	r := backlogtest.Read(t, source, query("not a topic\n", "billing"))[0]
	if r.Err == nil && !r.Reading.Missing || r.Err != nil && strings.Contains(r.Err.Error(), "\n") {
		t.Errorf("a name that no topic can have reads as %+v", r)
	}
}
