package kafka_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
)

// benchQueues is how many pairs of a topic and a group are read in one batch.
const benchQueues = 1000

// BenchmarkRead reads 1,000 topics of a partition each, for a group each, on three brokers, and next to
// it what a bare client does for the same answers: one OffsetFetch for all groups and one ListOffsets
// for all topics, which the library splits by broker.
func BenchmarkRead(b *testing.B) {
	topics, groups := make([]string, benchQueues), make([]string, benchQueues)
	queries := make([]backlog.Query, benchQueues)
	for i := range topics {
		topics[i], groups[i] = fmt.Sprintf("topic-%d", i), fmt.Sprintf("group-%d", i)
		queries[i] = query(topics[i], groups[i])
	}
	f := newFake(b, kfake.NumBrokers(3), kfake.SeedTopics(1, topics...))
	var requests atomic.Int64
	f.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if r.Key() != int16(kmsg.Fetch) {
			requests.Add(1)
		}
		return nil, nil, false
	})
	b.Run("scaler", func(b *testing.B) {
		source := f.source(b, nil)
		results := backlogtest.Read(b, source, queries...)
		began := requests.Load()
		b.ReportAllocs()
		for b.Loop() {
			results = source.Read(b.Context(), queries, results[:0])
		}
		for _, r := range results {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
		report(b, requests.Load()-began)
	})
	b.Run("bare", func(b *testing.B) {
		began := requests.Load()
		b.ReportAllocs()
		for b.Loop() {
			f.bareRead(b, topics, groups)
		}
		report(b, requests.Load()-began)
	})
}

func report(b *testing.B, requests int64) {
	b.Helper()
	b.ReportMetric(float64(b.N)*benchQueues/b.Elapsed().Seconds(), "queues/s")
	b.ReportMetric(float64(requests)/float64(b.N), "requests/batch")
}

// bareRead asks for the offsets and the ends.
func (f *fake) bareRead(b *testing.B, topics, groups []string) {
	b.Helper()
	offsets, ends := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrListOffsetsRequest()
	for i := range topics {
		group := kmsg.NewOffsetFetchRequestGroup()
		group.Group = groups[i]
		topic := kmsg.NewOffsetFetchRequestGroupTopic()
		topic.Topic, topic.Partitions = topics[i], []int32{0}
		group.Topics = append(group.Topics, topic)
		offsets.Groups = append(offsets.Groups, group)
		listed := kmsg.NewListOffsetsRequestTopic()
		listed.Topic = topics[i]
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Timestamp = -1
		listed.Partitions = append(listed.Partitions, partition)
		ends.Topics = append(ends.Topics, listed)
	}
	for _, r := range []kmsg.Request{offsets, ends} {
		if _, err := f.client.Request(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWake times a wake-up: from the call that writes a message to the wake-up of the query, on a
// real broker.
func BenchmarkWake(b *testing.B) {
	cluster := kafkatest.Start(b, kafkatest.V44, 1)
	f := &fixture{Cluster: cluster, client: cluster.Client(b)}
	topic, group := f.topic(b, 0)
	f.client.Commit(b, group, topic, 0, 0)
	source := backlogtest.Open(b, kafka.Engine(), connection(f.Addrs(), nil))
	wakeups := backlogtest.Listen(b, source)
	q := query(topic, group)
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		backlogtest.Arm(b, source, wakeups, q)
		b.StartTimer()
		began := time.Now()
		f.client.Produce(b, topic, 0, 1)
		wakeups.Await(b, q)
		took = append(took, time.Since(began))
		b.StopTimer()
		f.ack(b, q, 1)
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms-p50")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "ms-p99")
}
