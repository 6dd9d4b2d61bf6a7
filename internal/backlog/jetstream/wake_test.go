package jetstream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

// TestWakes: an idle queue wakes with the next message, whatever the retention, the filter and the number
// of subjects, and again when it is idle again. It is not armed while it has work.
func TestWakes(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	for name, c := range map[string]struct {
		stream   natsjs.StreamConfig
		consumer natsjs.ConsumerConfig
	}{
		"limits":    {},
		"interest":  {stream: natsjs.StreamConfig{Retention: natsjs.InterestPolicy}},
		"workqueue": {stream: natsjs.StreamConfig{Retention: natsjs.WorkQueuePolicy}},
		"filter":    {consumer: natsjs.ConsumerConfig{FilterSubject: "wakes-filter.new"}},
		"filters":   {consumer: natsjs.ConsumerConfig{FilterSubjects: []string{"wakes-filters.paid", "wakes-filters.new"}}},
		"wild":      {stream: natsjs.StreamConfig{Subjects: []string{"wakes-wild.*", "others-wild.>"}}, consumer: natsjs.ConsumerConfig{FilterSubject: ">"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.stream.Name = "wakes-" + name
			stream := made(t, client, c.stream, c.consumer)
			source := open(t, server, nil)
			wakeups := backlogtest.Listen(t, source)
			q := query(stream)
			for range 3 {
				backlogtest.Arm(t, source, wakeups, q)
				client.Publish(t, stream+".new", 1)
				wakeups.Await(t, q)
				r := await(t, source, q, "1 message", func(r backlog.Reading) bool { return r.Ready == 1 })
				if again := backlogtest.ReadOnce(t, source, q)[0]; again.Armed {
					t.Errorf("a queue with work is armed: %+v after %+v", again, r)
				}
				client.Work(t, stream, worker, 1)
			}
		})
	}
}

// TestWakesOthers: the message of one subject wakes the queues that wait for it and no others, and is
// delivered once for all of them.
func TestWakesOthers(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	wakeups := backlogtest.Listen(t, source)
	first := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
	client.Consumer(t, first, natsjs.ConsumerConfig{Durable: "second", AckPolicy: natsjs.AckExplicitPolicy})
	other := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
	both := []backlog.Query{query(first), query(first, "consumer", "second")}
	backlogtest.Arm(t, source, wakeups, both[0], both[1], query(other))
	client.Publish(t, first+".new", 1)
	for _, q := range both {
		wakeups.Await(t, q)
		await(t, source, q, "1 message", func(r backlog.Reading) bool { return r.Ready == 1 })
	}
	// Whatever is on its way comes before the wake-up of the other queue.
	client.Publish(t, other+".new", 1)
	for {
		select {
		case w := <-source.(backlog.Waker).Wakes(): //nolint:errcheck // Listen has checked it
			if w.Everything {
				t.Fatalf("woken by %+v", w)
			}
			for _, q := range w.Queries {
				if q == query(other) {
					return
				}
			}
		case <-time.After(patience):
			t.Fatal("the other queue was not woken")
		}
	}
}

// TestWakesWithoutConsumer: messages wake a queue whose consumer does not exist yet.
func TestWakesWithoutConsumer(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	wakeups := backlogtest.Listen(t, source)
	stream := streamName("early")
	client.Stream(t, natsjs.StreamConfig{Name: stream})
	q := query(stream, "filter", stream+".paid")
	backlogtest.Arm(t, source, wakeups, q)
	client.Publish(t, stream+".paid", 1)
	wakeups.Await(t, q)
	await(t, source, q, "1 message", func(r backlog.Reading) bool { return r.Ready == 1 })
}

// TestUnwakeable: where a plain subscription would miss messages, a queue is polled and says why.
func TestUnwakeable(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	origin := streamName("origin")
	client.Stream(t, natsjs.StreamConfig{Name: origin})
	for name, c := range map[string]struct {
		stream   natsjs.StreamConfig
		settings map[string]any
		reason   string
	}{
		"mirror":    {stream: natsjs.StreamConfig{Mirror: &natsjs.StreamSource{Name: origin}}, reason: "it is a mirror"},
		"source":    {stream: natsjs.StreamConfig{Sources: []*natsjs.StreamSource{{Name: origin}}}, reason: "it has sources"},
		"transform": {stream: natsjs.StreamConfig{SubjectTransform: &natsjs.SubjectTransformConfig{Source: ">", Destination: "changed.>"}}, reason: "transforms subjects"},
		"schedules": {stream: natsjs.StreamConfig{AllowMsgSchedules: true}, reason: "scheduled messages"},
		"poll":      {settings: map[string]any{"wakeUp": "poll"}, reason: "wakeUp is poll"},
		"imported":  {settings: map[string]any{"apiPrefix": "$JS.API"}, reason: "apiPrefix is set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := made(t, client, c.stream, natsjs.ConsumerConfig{})
			source := open(t, server, c.settings)
			q := query(stream)
			for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
				if r := backlogtest.ReadOnce(t, source, q)[0]; r.Err != nil || r.Armed {
					t.Fatalf("reads as %+v", r)
				}
			}
			if status := source.Status(); !strings.Contains(status.WakeUpReason, c.reason) {
				t.Errorf("the status is %+v, want %q", status, c.reason)
			}
		})
	}
}

// TestMirror: the messages of a mirror count as those of any stream.
func TestMirror(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	origin := streamName("origin")
	client.Stream(t, natsjs.StreamConfig{Name: origin})
	mirror := made(t, client, natsjs.StreamConfig{Mirror: &natsjs.StreamSource{Name: origin}}, natsjs.ConsumerConfig{})
	client.Publish(t, origin+".new", 4)
	await(t, source, query(mirror), "4 messages", func(r backlog.Reading) bool { return r.Ready == 4 })
}

// TestWakesByRepublish: a stream that another one republishes to wakes, because its messages are published
// as those of a client are.
func TestWakesByRepublish(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	wakeups := backlogtest.Listen(t, source)
	target := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
	origin := streamName("origin")
	client.Stream(t, natsjs.StreamConfig{Name: origin, RePublish: &natsjs.RePublish{Source: origin + ".*", Destination: target + ".{{wildcard(1)}}"}})
	q := query(target)
	backlogtest.Arm(t, source, wakeups, q)
	client.Publish(t, origin+".new", 1)
	wakeups.Await(t, q)
	await(t, source, q, "1 message", func(r backlog.Reading) bool { return r.Ready == 1 })
}

// TestWideSubjects: no subscription may cover the scaler's own requests and answers, which would wake
// without end.
func TestWideSubjects(t *testing.T) {
	t.Parallel()
	server := jetstreamtest.Start(t, 1)
	client := server.NewClient(t)
	stream := made(t, client, natsjs.StreamConfig{Subjects: []string{"*.wide"}, NoAck: true}, natsjs.ConsumerConfig{})
	source := open(t, server, nil)
	backlogtest.MustRead(t, source, query(stream))
	if status := source.Status(); !strings.Contains(status.WakeUpReason, "cover those of the API") {
		t.Errorf("the status is %+v", status)
	}
}

// TestReconnect: after the connection was lost nothing is armed until it was subscribed and read again.
func TestReconnect(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	proxy := backlogtest.NewProxy(t, server.Nodes[0].Address)
	source := backlogtest.Open(t, jetstream.Engine(), settings([]string{proxy.Addr()}, nil))
	wakeups := backlogtest.Listen(t, source)
	stream := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{})
	q := query(stream)
	for range 3 {
		backlogtest.Arm(t, source, wakeups, q)
		proxy.Cut()
		wakeups.AwaitEverything(t)
		if r := backlogtest.Read(t, source, q)[0]; r.Armed {
			t.Errorf("the first read of a new connection is armed: %+v", r)
		}
	}
	backlogtest.Arm(t, source, wakeups, q)
	client.Publish(t, stream+".new", 1)
	wakeups.Await(t, q)
}

// TestThousandTriggers: a thousand queues cost one connection and, while they are idle, one subscription
// each. They are read in about the time of one.
func TestThousandTriggers(t *testing.T) {
	t.Parallel()
	const queues = 1000
	server := jetstreamtest.Start(t, 1)
	client := server.NewClient(t)
	var queries []backlog.Query
	for i := range queues {
		// A server allows some thousand consumers in a stream.
		stream := fmt.Sprintf("many-%d", i%50)
		if i < 50 {
			client.Stream(t, natsjs.StreamConfig{Name: stream, Storage: natsjs.MemoryStorage})
		}
		name := fmt.Sprintf("worker-%d", i)
		client.Consumer(t, stream, natsjs.ConsumerConfig{
			Durable: name, FilterSubject: fmt.Sprintf("%s.%d", stream, i), AckPolicy: natsjs.AckExplicitPolicy, MemoryStorage: true,
		})
		queries = append(queries, query(stream, "consumer", name))
	}
	before, subscribed := server.Nodes[0].Connections(), server.Nodes[0].Subscriptions()
	source := open(t, server, nil)
	wakeups := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, wakeups, queries...)
	if more := server.Nodes[0].Connections() - before; more != 1 {
		t.Errorf("%d queues cost %d connections, want 1", queues, more)
	}
	if more := server.Nodes[0].Subscriptions() - subscribed; more != queues+1 {
		t.Errorf("%d queues cost %d subscriptions, want %d", queues, more, queues+1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	for i, r := range source.Read(ctx, queries, nil) {
		if r.Err != nil || !r.Armed || r.Reading.Backlog() != 0 {
			t.Fatalf("%v reads as %+v", queries[i], r)
		}
	}
	t.Logf("%d queues of 50 streams are read in %s", queues, time.Since(began))
	client.Publish(t, "many-7.507", 1)
	wakeups.Await(t, queries[507])
	if r := backlogtest.MustRead(t, source, queries[507]); r.Ready > 1 {
		t.Errorf("1 message reads as %+v", r)
	}
}
