package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// consume polls until n messages came, and commits them.
func consume(t testing.TB, client *kafkatest.Client, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n > 0 {
		fetches := client.PollRecords(ctx, n)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		records := fetches.Records()
		n -= len(records)
		if err := client.CommitRecords(ctx, records...); err != nil {
			t.Fatal(err)
		}
	}
}

// consumers: what real members of a group take and commit, by the classic protocol and by that of
// KIP-848, which a broker of 3.9 does not have.
func consumers(t *testing.T, f *fixture) {
	t.Helper()
	for _, protocol := range []string{"classic", "new"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			topic, group := f.topic(t, 6, 4)
			opts := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
			if protocol == "new" {
				opts = append(opts, kgo.WithContext(context.WithValue(t.Context(), "opt_in_kafka_next_gen_balancer_beta", true))) //nolint:revive,staticcheck // the key is that of the library
			}
			member := f.Client(t, opts...)
			source := f.open(t, nil)
			consume(t, member, 7)
			q := query(topic, group)
			if r := backlogtest.MustRead(t, source, q); r.Backlog() != 3 {
				t.Errorf("3 of 10 that the group has not committed read as %+v", r)
			}
			consume(t, member, 3)
			if r := backlogtest.MustRead(t, source, q); r.Backlog() != 0 {
				t.Errorf("a group that has committed all reads as %+v", r)
			}
			member.LeaveGroup()
			f.client.Produce(t, topic, 1, 2)
			if r := backlogtest.MustRead(t, source, q); r.Backlog() != 2 || r.MaxUseful != 1 {
				t.Errorf("2 after the members have left read as %+v", r)
			}
		})
	}
}

func shareQuery(topic, group string) backlog.Query {
	return backlog.Query{Layout: "topic", Queue: topic, Params: backlog.NewParams(map[string]string{"shareGroup": group})}
}

// shares: the broker knows nothing of a share group until its first acknowledgement is stored, even
// while members hold messages. All messages count until then, and those that are not acknowledged
// after it.
func shares(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 10)
	source := f.open(t, nil)
	q := shareQuery(topic, group)
	if f.Version == kafkatest.V39 {
		if r := backlogtest.Read(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrMismatch) {
			t.Errorf("a share group reads as %+v on a broker without them, want ErrMismatch", r)
		}
		return
	}
	// The broker answers the same for a group that does not exist and one that has acknowledged nothing.
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 10 || r.Quality != backlog.UpperBound || r.Warning == "" {
		t.Errorf("10 for a share group that does not exist read as %+v", r)
	}
	f.shareFromStart(t, group)
	member := f.Client(t, kgo.ShareGroup(group), kgo.ConsumeTopics(topic))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var held []*kgo.Record
	for len(held) == 0 {
		fetches := member.PollRecords(ctx, 4)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		held = fetches.Records()
	}
	r := backlogtest.MustRead(t, source, q)
	if r.Backlog() != 10 || r.MaxUseful != 0 {
		t.Errorf("10 before the first acknowledgement read as %+v", r)
	}
	for i, record := range held {
		if i < 2 {
			record.Ack(kgo.AckAccept)
		}
	}
	acked := int64(min(2, len(held)))
	if err := member.FlushAcks(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, source, q, func(r backlog.Result) error {
		if err := wantBacklog(10 - acked)(r); err != nil {
			return err
		}
		if r.Reading.Quality != backlog.Exact || r.Reading.Warning != "" {
			return fmt.Errorf("the reading is %+v", r.Reading)
		}
		return nil
	})
	wakeups := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, wakeups, q)
	f.client.Produce(t, topic, 0, 1)
	wakeups.Await(t, q)
	eventually(t, source, q, wantBacklog(11-acked))
}

// shareFromStart makes a share group begin with what is there already.
func (f *fixture) shareFromStart(t testing.TB, group string) {
	t.Helper()
	r := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "share.auto.offset.reset", new("earliest")
	resource.Configs = append(resource.Configs, config)
	r.Resources = append(r.Resources, resource)
	if answer := kafkatest.Send[*kmsg.IncrementalAlterConfigsResponse](t, f.client, r); answer.Resources[0].ErrorCode != 0 {
		t.Fatalf("configure share group: %+v", answer.Resources[0])
	}
}

// shareFrom makes a share group without members begin at an offset of a partition.
func (f *fixture) shareFrom(t testing.TB, q backlog.Query, offset int64) {
	t.Helper()
	r := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	r.GroupID = q.Params.Get("shareGroup")
	topic := kmsg.NewAlterShareGroupOffsetsRequestTopic()
	topic.Topic = q.Queue
	partition := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
	partition.StartOffset = offset
	topic.Partitions = append(topic.Partitions, partition)
	r.Topics = append(r.Topics, topic)
	// The coordinator of the group learns of a new topic a moment later than the broker that created it.
	err := childprocess.Poll(t.Context(), "the offset of a share group", patience, 20*time.Millisecond, func(context.Context) error {
		answer := kafkatest.Send[*kmsg.AlterShareGroupOffsetsResponse](t, f.client, r)
		return errors.Join(kerr.ErrorForCode(answer.ErrorCode), kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shareStart returns the offset from which a share group has messages to acknowledge.
func (f *fixture) shareStart(t testing.TB, q backlog.Query) int64 {
	t.Helper()
	r := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	group := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	group.GroupID = q.Params.Get("shareGroup")
	topic := kmsg.NewDescribeShareGroupOffsetsRequestGroupTopic()
	topic.Topic, topic.Partitions = q.Queue, []int32{0}
	group.Topics = append(group.Topics, topic)
	r.Groups = append(r.Groups, group)
	answer := kafkatest.Send[*kmsg.DescribeShareGroupOffsetsResponse](t, f.client, r)
	return answer.Groups[0].Topics[0].Partitions[0].StartOffset
}

// TestFrozenBroker freezes a broker, which then holds connections and answers nothing. A read ends with
// its context, and never says 0.
//
//nolint:paralleltest // clusters that are frozen run alone, because their sessions are short
func TestFrozenBroker(t *testing.T) {
	cluster := kafkatest.Start(t, kafkatest.V44, 1)
	f := &fixture{Cluster: cluster, client: cluster.Client(t)}
	topic, group := f.topic(t, 5)
	f.client.Commit(t, group, topic, 0, 5)
	source := f.open(t, map[string]any{"answerTimeout": 500 * time.Millisecond, "dialTimeout": time.Second})
	wakeups := backlogtest.Listen(t, source)
	q := query(topic, group)
	backlogtest.Arm(t, source, wakeups, q)
	cluster.Brokers[0].Freeze(t)
	wakeups.AwaitEverything(t)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		r := source.Read(ctx, []backlog.Query{q}, nil)[0]
		cancel()
		if !errors.Is(r.Err, backlog.ErrUnavailable) || r.Armed {
			t.Errorf("a frozen broker reads as %+v, want ErrUnavailable", r)
		}
	}
	cluster.Brokers[0].Thaw(t)
	eventually(t, source, q, wantBacklog(0))
	cluster.Brokers[0].Kill()
	if r := backlogtest.Read(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
		t.Errorf("a broker that is gone reads as %+v, want ErrUnavailable", r)
	}
	cluster.Brokers[0].Restart(t)
	// An open port is not readiness: until the coordinator has loaded its offsets there is an error.
	eventually(t, source, q, wantBacklog(0))
	backlogtest.Arm(t, source, wakeups, q)
	f.client.Produce(t, topic, 0, 1)
	wakeups.Await(t, q)
}

// TestFrozenLeader freezes the leader of a partition in a cluster of three. Its partition is never read
// as 0, those of the others are read meanwhile, and a new leader is found.
//
//nolint:paralleltest // see TestFrozenBroker
func TestFrozenLeader(t *testing.T) {
	cluster := kafkatest.Start(t, kafkatest.V44, 3)
	f := &fixture{Cluster: cluster, client: cluster.Client(t)}
	source := f.open(t, map[string]any{"answerTimeout": time.Second, "dialTimeout": time.Second})
	topics, group := make(map[int32]string), f.names.next("group")
	for i, b := range cluster.Brokers {
		topic := f.names.next("topic")
		f.client.CreateTopicOn(t, topic, b.ID, cluster.Brokers[(i+1)%3].ID, cluster.Brokers[(i+2)%3].ID)
		f.client.Produce(t, topic, 0, 3)
		f.client.Commit(t, group, topic, 0, 1)
		topics[b.ID] = topic
	}
	coordinator := f.client.Coordinator(t, group)
	var frozen int32
	for leader := range topics {
		if leader != coordinator {
			frozen = leader
		}
	}
	for _, topic := range topics {
		eventually(t, source, query(topic, group), wantBacklog(2))
	}
	cluster.Broker(frozen).Freeze(t)
	defer cluster.Broker(frozen).Thaw(t)
	err := childprocess.Poll(t.Context(), "a new leader", patience, 50*time.Millisecond, func(ctx context.Context) error {
		for leader, topic := range topics {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			r := source.Read(ctx, []backlog.Query{query(topic, group)}, nil)[0]
			cancel()
			if r.Err == nil && r.Reading.Backlog() != 2 {
				t.Errorf("2 in topic %s, led by broker %d while %d is frozen, read as %+v", topic, leader, frozen, r)
			}
			if r.Err != nil && leader == frozen {
				return r.Err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// All are read by what remains.
	for _, topic := range topics {
		eventually(t, source, query(topic, group), wantBacklog(2))
	}
}
