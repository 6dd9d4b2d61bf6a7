package subject

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// Kafka measures the engine of that name, on one broker with topics of one partition, each with a consumer group.
// Changes are noticed by fetches that wait at the ends of idle partitions. The bare client, franz-go, sends one
// OffsetFetch for all groups and one ListOffsets for all topics.
func Kafka(ctx context.Context, programs Programs) (Result, error) {
	return measureEngine(ctx, programs, (*stage).kafka)
}

func (s *stage) kafka(ctx context.Context) (*queueServer, error) {
	far, err := s.distance()
	if err != nil {
		return nil, err
	}
	// Clients find the broker where it says that it is.
	cluster, err := kafkatest.Launch(ctx, kafkatest.V44, 1, kafkatest.BehindProxies(far.Address), kafkatest.Heap(1024))
	if err != nil {
		return nil, err
	}
	s.endings = append(s.endings, func() error { cluster.Close(); return nil })
	client, err := s.kafkaClient(cluster.Addr())
	if err != nil {
		return nil, err
	}
	topics := teamQueues()
	if err := fillKafka(ctx, client, topics); err != nil {
		return nil, err
	}
	return &queueServer{
		engine: "kafka", address: cluster.Addr(), brokers: cluster.Addrs(), far: far.To(cluster.ProxiedAddrs()[0]),
		settings:   func(address string) []string { return []string{fmt.Sprintf("addresses: [%q]", address), answerTimeout} },
		layout:     "topic",
		queues:     topics,
		parameters: func(i int) map[string]string { return map[string]string{"consumerGroup": groupOf(topics[i])} },
		bare: func(_ context.Context, address string) (func(context.Context) error, error) {
			client, err := s.kafkaClient(address)
			return func(ctx context.Context) error { return readKafka(ctx, client, topics) }, err
		},
		write: func(ctx context.Context, i int) error {
			return client.ProduceSync(ctx, &kgo.Record{Topic: topics[i], Value: []byte("work")}).FirstErr()
		},
		state:   cluster.Brokers[0].State,
		limits:  engineLimits{rate: 0.5, trips: 4, p50: 50, p99: 500},
		notices: "fetch",
	}, nil
}

// kafkaClient is the bare client, without the delays that it adds to produce more in one request.
func (s *stage) kafkaClient(address string) (*kgo.Client, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(address), kgo.DisableClientMetrics(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		// A topic that was just created.
		kgo.UnknownTopicRetries(-1),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	s.endings = append(s.endings, func() error { client.Close(); return nil })
	return client, nil
}

func groupOf(topic string) string { return strings.TrimSuffix(topic, "orders") + "workers" }

// fillKafka creates the topics with one message each, so that the client knows them all. The groups of the busy ones
// have not consumed it.
func fillKafka(ctx context.Context, client *kgo.Client, topics []string) error {
	admin := kadm.NewClient(client)
	for part := range slices.Chunk(topics, 100) {
		created, err := admin.CreateTopics(ctx, 1, 1, nil, part...)
		if err == nil {
			err = created.Error()
		}
		if err != nil {
			return fmt.Errorf("create topics: %w", err)
		}
	}
	records := make([]*kgo.Record, len(topics))
	for i, topic := range topics {
		records[i] = &kgo.Record{Topic: topic, Value: []byte("work")}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("write topics: %w", err)
	}
	return each(len(topics), callers, func(i int) error {
		consumed := int64(1)
		if i < engineBusy {
			consumed = 0
		}
		offsets := make(kadm.Offsets)
		offsets.AddOffset(topics[i], 0, consumed, -1)
		return childprocess.Poll(ctx, "a commit", patience, probeInterval, func(ctx context.Context) error {
			return admin.CommitAllOffsets(ctx, groupOf(topics[i]), offsets)
		})
	})
}

// readKafka reads the committed offsets and the ends, and makes backlogs of them.
func readKafka(ctx context.Context, client *kgo.Client, topics []string) error {
	offsets, ends := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrListOffsetsRequest()
	for _, name := range topics {
		group, topic := kmsg.NewOffsetFetchRequestGroup(), kmsg.NewOffsetFetchRequestGroupTopic()
		topic.Topic, topic.Partitions = name, []int32{0}
		group.Group, group.Topics = groupOf(name), append(group.Topics, topic)
		offsets.Groups = append(offsets.Groups, group)
		listed, partition := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
		partition.Timestamp = -1 // the end
		listed.Topic, listed.Partitions = name, append(listed.Partitions, partition)
		ends.Topics = append(ends.Topics, listed)
	}
	committed, err := offsets.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	backlogs := make(map[string]int64, len(topics))
	for _, group := range committed.Groups {
		for _, topic := range group.Topics {
			if err := kerr.ErrorForCode(topic.Partitions[0].ErrorCode); err != nil {
				return fmt.Errorf("read group %s: %w", group.Group, err)
			}
			backlogs[topic.Topic] = -topic.Partitions[0].Offset
		}
	}
	answer, err := ends.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("read the ends of topics: %w", err)
	}
	for _, topic := range answer.Topics {
		if err := kerr.ErrorForCode(topic.Partitions[0].ErrorCode); err != nil {
			return fmt.Errorf("read topic %s: %w", topic.Topic, err)
		}
		backlogs[topic.Topic] += topic.Partitions[0].Offset
	}
	for topic, backlog := range backlogs {
		if backlog < 0 {
			return fmt.Errorf("read topic %s: backlog %d", topic, backlog)
		}
	}
	return nil
}
