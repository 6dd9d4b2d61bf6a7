package jetstream_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

// TestUnderLoad: while a producer publishes and workers work, every reading lies between what was certainly
// there shortly before and what may have been there. A server counts messages as pending after it has
// confirmed them, so that what it says is milliseconds old, or more on a busy machine.
func TestUnderLoad(t *testing.T) { //nolint:tparallel // each is a load of its own
	t.Parallel()
	cluster := jetstreamtest.Start(t, 3)
	for name, c := range map[string]struct {
		server   *jetstreamtest.Cluster
		stream   natsjs.StreamConfig
		filtered bool
	}{
		"one server":         {server: one(t), stream: natsjs.StreamConfig{Retention: natsjs.WorkQueuePolicy}},
		"a filter":           {server: one(t), filtered: true},
		"replicas":           {server: cluster, stream: natsjs.StreamConfig{Retention: natsjs.InterestPolicy, Replicas: 3}},
		"a filter, replicas": {server: cluster, stream: natsjs.StreamConfig{Replicas: 3}, filtered: true},
	} {
		t.Run(name, func(t *testing.T) {
			c.stream.Name = streamName("load")
			consumer := natsjs.ConsumerConfig{Durable: worker, AckPolicy: natsjs.AckExplicitPolicy}
			if c.filtered {
				consumer.FilterSubject = c.stream.Name + ".new"
			}
			load(t, c.server, c.stream, consumer)
		})
	}
}

// load publishes messages and works on them while it reads.
func load(t *testing.T, server *jetstreamtest.Cluster, config natsjs.StreamConfig, consumer natsjs.ConsumerConfig) {
	t.Helper()
	const messages = 1000
	client := server.NewClient(t)
	source := open(t, server, nil)
	stream := made(t, client, config, consumer)
	q := query(stream)
	// The server may know of a message that is being published or finished. It has confirmed that others
	// are.
	var publishing, published, finishing, finished atomic.Int64
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() {
		for i := range messages {
			publishing.Add(1)
			if _, err := client.JS.Publish(t.Context(), stream+".new", nil); err != nil {
				t.Error(err)
				return
			}
			published.Add(1)
			if i%100 == 99 {
				// Workers catch up, so that the queue is empty at times.
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	for range 2 {
		other := server.NewClient(t)
		consuming, err := other.Consumer(t, stream, consumer).Consume(func(m natsjs.Msg) {
			finishing.Add(1)
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Error(err)
			}
			finished.Add(1)
		})
		if err != nil {
			t.Fatal(err)
		}
		tasks.Go(func() {
			defer consuming.Stop()
			eventually(t, "all is done", func() bool { return finished.Load() >= messages })
		})
	}
	// earlier are how many messages were published at a time.
	type moment struct {
		at        time.Time
		published int64
	}
	var earlier []moment
	const age = 2 * time.Second
	reads, zeros := 0, 0
	for deadline := time.Now().Add(patience); finished.Load() < messages && time.Now().Before(deadline); reads++ {
		now, gone := time.Now(), finished.Load()
		earlier = append(earlier, moment{now, published.Load()})
		r := backlogtest.ReadOnce(t, source, q)[0]
		if r.Pending {
			continue
		}
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for len(earlier) > 1 && now.Sub(earlier[1].at) > age {
			earlier = earlier[1:]
		}
		least, most := earlier[0].published-finishing.Load(), publishing.Load()-gone
		n := r.Reading.Backlog()
		if n < least || n > most {
			t.Fatalf("%d messages are read, want from %d to %d: %+v", n, least, most, r)
		}
		if n == 0 {
			zeros++
		}
	}
	await(t, source, q, "empty", func(r backlog.Reading) bool { return r.Backlog() == 0 })
	t.Logf("%d reads, %d of an empty queue", reads, zeros)
}
