package jetstream_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

// made makes a stream with a consumer, and returns its name.
func made(t testing.TB, client *jetstreamtest.Client, stream natsjs.StreamConfig, consumer natsjs.ConsumerConfig) string {
	t.Helper()
	if stream.Name == "" {
		stream.Name = streamName("counts")
	}
	if consumer.Durable == "" {
		consumer.Durable = worker
	}
	if consumer.AckPolicy == 0 && consumer.DeliverSubject == "" {
		consumer.AckPolicy = natsjs.AckExplicitPolicy
	}
	client.Stream(t, stream)
	client.Consumer(t, stream.Name, consumer)
	return stream.Name
}

// TestInFlight: messages that workers hold count as in flight, also those of workers that are gone.
func TestInFlight(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	for name, retention := range map[string]natsjs.RetentionPolicy{
		"limits": natsjs.LimitsPolicy, "interest": natsjs.InterestPolicy, "workqueue": natsjs.WorkQueuePolicy,
	} {
		stream := made(t, client, natsjs.StreamConfig{Retention: retention}, natsjs.ConsumerConfig{MaxAckPending: 50})
		client.Publish(t, stream+".new", 10)
		gone := server.NewClient(t)
		gone.Take(t, stream, worker, 3)
		gone.Close()
		r := await(t, source, query(stream), "10 messages", func(r backlog.Reading) bool { return r.Backlog() == 10 })
		if r.Ready != 7 || r.InFlight != backlog.Exactly(3) || r.Quality != backlog.Exact || r.MaxUseful != 50 || r.Missing || r.Warning != "" {
			t.Errorf("%s: 7 ready and 3 in flight read as %+v", name, r)
		}
		if r.Enqueued != backlog.Exactly(10) || r.Passed != backlog.Exactly(3) || r.Epoch == "" {
			t.Errorf("%s: after 10 messages and 3 deliveries the counters are %+v", name, r)
		}
	}
}

// TestConsumers has the kinds of consumers, and what each counts.
func TestConsumers(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	subject := func(stream, token string) string { return stream + "." + token }
	for name, c := range map[string]struct {
		consumer func(stream string) natsjs.ConsumerConfig
		// act happens after 6 messages on new and 4 on paid.
		act  func(t *testing.T, stream string)
		want func(r backlog.Reading) bool
	}{
		"one filter": {
			func(s string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{FilterSubject: subject(s, "paid")} },
			nil, func(r backlog.Reading) bool {
				return r.Ready == 4 && !r.Enqueued.Known && r.Oldest.Kind == backlog.AgeUnknown && r.Quality == backlog.Exact
			},
		},
		"several filters": {
			func(s string) natsjs.ConsumerConfig {
				return natsjs.ConsumerConfig{FilterSubjects: []string{subject(s, "paid"), subject(s, "other")}}
			},
			nil, func(r backlog.Reading) bool { return r.Ready == 4 && !r.Enqueued.Known },
		},
		"the filter is the subject of the stream": {
			func(s string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{FilterSubject: subject(s, "*")} },
			nil, func(r backlog.Reading) bool { return r.Ready == 10 && r.Enqueued == backlog.Exactly(10) },
		},
		"new messages only": {
			func(string) natsjs.ConsumerConfig {
				return natsjs.ConsumerConfig{DeliverPolicy: natsjs.DeliverByStartSequencePolicy, OptStartSeq: 9}
			},
			nil, func(r backlog.Reading) bool { return r.Ready == 2 && r.Oldest.Kind == backlog.AgeUnknown },
		},
		"no acknowledgements": {
			func(string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{AckPolicy: natsjs.AckNonePolicy} },
			func(t *testing.T, stream string) { t.Helper(); client.Take(t, stream, worker, 3) },
			func(r backlog.Reading) bool { return r.Ready == 7 && !r.InFlight.Known && r.MaxUseful == 0 },
		},
		"one at a time": {
			func(string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{MaxAckPending: 1} },
			func(t *testing.T, stream string) { t.Helper(); client.Take(t, stream, worker, 1) },
			func(r backlog.Reading) bool { return r.Ready == 9 && r.InFlight.N == 1 && r.MaxUseful == 1 },
		},
		"pinned": {
			func(string) natsjs.ConsumerConfig {
				return natsjs.ConsumerConfig{PriorityPolicy: natsjs.PriorityPolicyPinned, PriorityGroups: []string{"jobs"}, PinnedTTL: time.Minute}
			},
			nil, func(r backlog.Reading) bool { return r.Ready == 10 && r.MaxUseful == 1 },
		},
		"paused": {
			func(string) natsjs.ConsumerConfig {
				until := time.Now().Add(time.Hour)
				return natsjs.ConsumerConfig{PauseUntil: &until}
			},
			nil, func(r backlog.Reading) bool {
				left := time.Until(r.NextDue)
				return r.Ready == 10 && r.Paused && left > 50*time.Minute && left < 70*time.Minute
			},
		},
		"the oldest waits": {
			func(string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{} },
			nil, func(r backlog.Reading) bool {
				age := time.Since(r.Oldest.Since)
				return r.Oldest.Kind == backlog.AgeExact && age > 0 && age < patience
			},
		},
		"the oldest is in flight": {
			func(string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{} },
			func(t *testing.T, stream string) { t.Helper(); client.Take(t, stream, worker, 1) },
			func(r backlog.Reading) bool { return r.Ready == 9 && r.Oldest.Kind == backlog.AgeUnknown },
		},
		"purged": {
			func(string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{} },
			func(t *testing.T, stream string) {
				t.Helper()
				s, err := client.JS.Stream(t.Context(), stream)
				if err == nil {
					err = s.Purge(t.Context(), natsjs.WithPurgeSubject(subject(stream, "new")))
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			func(r backlog.Reading) bool { return r.Ready == 4 },
		},
		"purged whole": {
			func(string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{} },
			func(t *testing.T, stream string) {
				t.Helper()
				s, err := client.JS.Stream(t.Context(), stream)
				if err == nil {
					err = s.Purge(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			func(r backlog.Reading) bool {
				return r.Backlog() == 0 && !r.Missing && r.Enqueued == backlog.Exactly(10)
			},
		},
		"redelivered without end": {
			func(string) natsjs.ConsumerConfig { return natsjs.ConsumerConfig{AckWait: 50 * time.Millisecond} },
			func(t *testing.T, stream string) {
				t.Helper()
				client.Take(t, stream, worker, 10)
				client.Take(t, stream, worker, 2)
			},
			func(r backlog.Reading) bool { return r.Ready == 0 && r.InFlight == backlog.Exactly(10) },
		},
		"given up": {
			func(string) natsjs.ConsumerConfig {
				return natsjs.ConsumerConfig{AckWait: 50 * time.Millisecond, MaxDeliver: 1}
			},
			func(t *testing.T, stream string) {
				t.Helper()
				client.Take(t, stream, worker, 10)
				// The server gives the messages up when their time to be acknowledged is over.
				source := open(t, server, nil)
				await(t, source, query(stream), "given up", func(r backlog.Reading) bool { return r.Backlog() == 0 })
			},
			func(r backlog.Reading) bool { return r.Backlog() == 0 && r.Quality == backlog.Exact },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := streamName("consumers")
			client.Stream(t, natsjs.StreamConfig{Name: stream})
			made(t, client, natsjs.StreamConfig{Name: stream}, c.consumer(stream))
			client.Publish(t, subject(stream, "new"), 6)
			client.Publish(t, subject(stream, "paid"), 4)
			if c.act != nil {
				c.act(t, stream)
			}
			// A server counts a message a moment after it has confirmed it. A source is read by one goroutine.
			await(t, open(t, server, nil), query(stream), "wanted", c.want)
		})
	}
}

// TestPushConsumer: whether a client is bound to a push consumer is known.
func TestPushConsumer(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	stream := streamName("push")
	client.Stream(t, natsjs.StreamConfig{Name: stream})
	if _, err := client.JS.CreatePushConsumer(t.Context(), stream, natsjs.ConsumerConfig{
		Durable: worker, DeliverSubject: "deliver." + stream, AckPolicy: natsjs.AckExplicitPolicy,
	}); err != nil {
		t.Fatal(err)
	}
	client.Publish(t, stream+".new", 3)
	await(t, source, query(stream), "3 messages without a worker", func(r backlog.Reading) bool {
		return r.Ready == 3 && r.Consumers == backlog.Exactly(0)
	})
	sub, err := client.Conn.SubscribeSync("deliver." + stream)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sub.NextMsg(patience); err != nil {
		t.Fatal(err)
	}
	await(t, source, query(stream), "3 in flight at a worker", func(r backlog.Reading) bool {
		return r.Ready == 0 && r.InFlight == backlog.Exactly(3) && r.Consumers == backlog.Exactly(1)
	})
}

// TestMissing: what does not exist is not empty.
func TestMissing(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	stream := streamName("missing")
	if r := backlogtest.MustRead(t, source, query(stream)); !r.Missing {
		t.Errorf("a stream that does not exist reads as %+v", r)
	}
	client.Stream(t, natsjs.StreamConfig{Name: stream})
	r := backlogtest.MustRead(t, source, query(stream))
	if r.Missing || r.Backlog() != 0 || !strings.Contains(r.Warning, `"worker" does not exist`) {
		t.Errorf("an empty stream without the consumer reads as %+v", r)
	}
	client.Publish(t, stream+".new", 6)
	client.Publish(t, stream+".paid", 4)
	client.Publish(t, stream+".other", 1)
	for filter, want := range map[string]int64{
		"": 11, stream + ".paid": 4, stream + ".paid," + stream + ".new": 10, stream + ".*": 11, stream + ".*," + stream + ".new": 11,
		stream + ".none": 0, "elsewhere": 0,
	} {
		for range 2 {
			r := backlogtest.MustRead(t, source, query(stream, "filter", filter))
			if r.Ready != want || r.Quality != backlog.UpperBound || r.Missing || r.Warning == "" {
				t.Errorf("without the consumer filter %q reads as %+v, want %d", filter, r, want)
			}
		}
	}
	// What was counted is not used for another state of the stream.
	paid := query(stream, "filter", stream+".paid")
	client.Publish(t, stream+".paid", 5)
	if r := backlogtest.MustRead(t, source, paid); r.Ready != 9 {
		t.Errorf("9 messages that match read as %+v", r)
	}
	client.Consumer(t, stream, natsjs.ConsumerConfig{Durable: worker, AckPolicy: natsjs.AckExplicitPolicy, FilterSubject: stream + ".other"})
	if r := backlogtest.MustRead(t, source, paid); r.Ready != 1 || r.Quality != backlog.Exact || r.Warning != "" {
		t.Errorf("a consumer with 1 message reads as %+v", r)
	}
}

// TestInactiveConsumer: a consumer that the server removes because no worker uses it leaves its messages.
func TestInactiveConsumer(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	stream := made(t, client, natsjs.StreamConfig{}, natsjs.ConsumerConfig{InactiveThreshold: 300 * time.Millisecond})
	client.Publish(t, stream+".new", 5)
	await(t, source, query(stream), "5 messages", func(r backlog.Reading) bool { return r.Backlog() == 5 })
	r := await(t, source, query(stream), "without the consumer", func(r backlog.Reading) bool {
		if r.Backlog() != 5 {
			t.Fatalf("5 messages read as %+v", r)
		}
		return r.Warning != ""
	})
	if r.Quality != backlog.UpperBound {
		t.Errorf("without the consumer 5 messages read as %+v", r)
	}
}

// TestInterest: an interest stream without a consumer keeps nothing, and says so.
func TestInterest(t *testing.T) {
	t.Parallel()
	server := one(t)
	client := server.NewClient(t)
	source := open(t, server, nil)
	stream := streamName("interest")
	client.Stream(t, natsjs.StreamConfig{Name: stream, Retention: natsjs.InterestPolicy})
	client.Publish(t, stream+".new", 3)
	if r := backlogtest.MustRead(t, source, query(stream)); r.Backlog() != 0 || !strings.Contains(r.Warning, "keeps no message") {
		t.Errorf("an interest stream without a consumer reads as %+v", r)
	}
}

// TestNames: what is no name of a stream, consumer or subject is rejected, by the trigger and by the read.
func TestNames(t *testing.T) {
	t.Parallel()
	source := open(t, one(t), nil)
	for name, q := range map[string]backlog.Query{
		"dot":            query("a.b"),
		"wildcard":       query("*"),
		"blank":          query("a b"),
		"long":           query(strings.Repeat("a", 256)),
		"empty":          query(""),
		"no consumer":    query("a", "consumer", ""),
		"consumer":       query("a", "consumer", "b.>"),
		"empty token":    query("a", "filter", "a..b"),
		"wild middle":    query("a", "filter", "a.>.b"),
		"blank filter":   query("a", "filter", "a b"),
		"long filter":    query("a", "filter", strings.Repeat("a", 1025)),
		"many filters":   query("a", "filter", strings.Repeat("a,", 21)),
		"line break":     query("a\r\nPUB x 0"),
		"control filter": query("a", "filter", "a\r\nb"),
	} {
		if r := backlogtest.ReadOnce(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrMismatch) {
			t.Errorf("%s: reads as %+v, want ErrMismatch", name, r)
		}
	}
}
