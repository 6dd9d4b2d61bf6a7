package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

func (c *Cluster) newClient(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(c.Addrs()...), kgo.DisableClientMetrics(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MetadataMinAge(50 * time.Millisecond), kgo.ProducerLinger(0), kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
	}, opts...)...)
}

// awaitOffsets returns nil once brokers are registered and the coordinator of a group answers.
func awaitOffsets(ctx context.Context, client *kgo.Client, brokers int) error {
	// kadm would answer from what it has seen before.
	r := kmsg.NewPtrMetadataRequest()
	r.Topics = []kmsg.MetadataRequestTopic{}
	meta, err := r.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(meta.Brokers) < brokers {
		return fmt.Errorf("%d of %d brokers are registered", len(meta.Brokers), brokers)
	}
	_, err = kadm.NewClient(client).FetchOffsets(ctx, "kafkatest")
	return err
}

// A Client administers a cluster and writes to it. It may do everything.
type Client struct {
	*kgo.Client

	Admin *kadm.Client
}

// Client returns a client that is closed with the test.
func (c *Cluster) Client(t testing.TB, opts ...kgo.Opt) *Client {
	t.Helper()
	client, err := c.newClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &Client{Client: client, Admin: kadm.NewClient(client)}
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	return ctx
}

// CreateTopic creates a topic and waits until each partition has a leader.
func (c *Client) CreateTopic(t testing.TB, topic string, partitions int32, configs map[string]*string) {
	t.Helper()
	ctx := bounded(t)
	err := childprocess.Poll(ctx, "topic "+topic, patience, 20*time.Millisecond, func(ctx context.Context) error {
		_, err := c.Admin.CreateTopic(ctx, partitions, -1, configs, topic)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.AwaitPartitions(t, topic, int(partitions))
}

// CreateTopicOn creates a topic of one partition with replicas on the given brokers, and waits until the
// first of them leads it.
func (c *Client) CreateTopicOn(t testing.TB, topic string, brokers ...int32) {
	t.Helper()
	r := kmsg.NewPtrCreateTopicsRequest()
	one := kmsg.NewCreateTopicsRequestTopic()
	one.Topic, one.NumPartitions, one.ReplicationFactor = topic, -1, -1
	replicas := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
	replicas.Replicas = brokers
	one.ReplicaAssignment = append(one.ReplicaAssignment, replicas)
	r.Topics = append(r.Topics, one)
	err := childprocess.Poll(bounded(t), "a leader of "+topic, patience, 50*time.Millisecond, func(ctx context.Context) error {
		created, err := r.RequestWith(ctx, c.Client)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(created.Topics[0].ErrorCode); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return err
		}
		// A broker that was slow meanwhile has lost it to another one.
		if _, err := c.Admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, kadm.TopicsSet{topic: {0: {}}}); err != nil {
			return err
		}
		details, err := c.Admin.ListTopics(ctx, topic)
		if err != nil {
			return err
		}
		if leader := details[topic].Partitions[0].Leader; leader != brokers[0] {
			return fmt.Errorf("broker %d leads it, want %d", leader, brokers[0])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c.AwaitPartitions(t, topic, 1)
}

// AwaitPartitions waits until a topic has that many partitions, each with a leader that answers.
func (c *Client) AwaitPartitions(t testing.TB, topic string, n int) {
	t.Helper()
	err := childprocess.Poll(bounded(t), "the leaders of "+topic, patience, 10*time.Millisecond, func(ctx context.Context) error {
		ends, err := c.Admin.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		if err == nil && len(ends[topic]) != n {
			err = fmt.Errorf("%d partitions answer, want %d", len(ends[topic]), n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Produce writes n records to one partition.
func (c *Client) Produce(t testing.TB, topic string, partition int32, n int) {
	t.Helper()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Value: []byte("work")}
	}
	if err := c.ProduceSync(bounded(t), records...).FirstErr(); err != nil {
		t.Fatalf("write to %s: %v", topic, err)
	}
}

// Commit stores the offset of a group for one partition.
func (c *Client) Commit(t testing.TB, group, topic string, partition int32, offset int64) {
	t.Helper()
	offsets := make(kadm.Offsets)
	offsets.AddOffset(topic, partition, offset, -1)
	err := childprocess.Poll(bounded(t), "commit of "+group, patience, 20*time.Millisecond, func(ctx context.Context) error {
		return c.Admin.CommitAllOffsets(ctx, group, offsets)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Leader returns the id of the broker that leads a partition.
func (c *Client) Leader(t testing.TB, topic string, partition int32) int32 {
	t.Helper()
	details, err := c.Admin.ListTopics(bounded(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	return details[topic].Partitions[partition].Leader
}

// Coordinator returns the id of the broker that stores the offsets of a group.
func (c *Client) Coordinator(t testing.TB, group string) int32 {
	t.Helper()
	found := c.Admin.FindGroupCoordinators(bounded(t), group)
	if err := found.Error(); err != nil {
		t.Fatal(err)
	}
	return found[group].NodeID
}

// Send sends a request that must succeed as such.
func Send[R kmsg.Response](t testing.TB, c *Client, r kmsg.Request) R {
	t.Helper()
	answer, err := c.Request(bounded(t), r)
	if err != nil {
		t.Fatal(err)
	}
	response, ok := answer.(R)
	if !ok {
		t.Fatalf("%T is answered by %T", r, answer)
	}
	return response
}
