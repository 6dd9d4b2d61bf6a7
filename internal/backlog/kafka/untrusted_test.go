package kafka_test

import (
	"errors"
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
)

// TestUntrustedOffsets: whatever a coordinator leaves out or makes up, the result is an error.
func TestUntrustedOffsets(t *testing.T) {
	t.Parallel()
	type group = kmsg.OffsetFetchResponseGroup
	at := func(partition int32, offset int64, code int16) kmsg.OffsetFetchResponseGroupTopicPartition {
		p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		p.Partition, p.Offset, p.ErrorCode = partition, offset, code
		return p
	}
	of := func(name string, partitions ...kmsg.OffsetFetchResponseGroupTopicPartition) func(*group) {
		return func(g *group) {
			topic := kmsg.NewOffsetFetchResponseGroupTopic()
			topic.Topic, topic.Partitions = name, partitions
			g.Topics = append(g.Topics, topic)
		}
	}
	for name, c := range map[string]struct {
		edit   func(*group)
		reason error
	}{
		"a partition is missing":     {of("orders", at(0, 1, 0)), backlog.ErrPartial},
		"the topic is another one":   {of("other", at(0, 1, 0), at(1, 1, 0)), backlog.ErrPartial},
		"partitions are not there":   {of("orders", at(-1, 1, 0), at(math.MaxInt32, 1, 0), at(0, 1, 0)), backlog.ErrPartial},
		"a partition is denied":      {of("orders", at(0, 1, 0), at(1, -1, kerr.TopicAuthorizationFailed.Code)), backlog.ErrDenied},
		"a partition is unavailable": {of("orders", at(0, 1, 0), at(1, -1, kerr.UnstableOffsetCommit.Code)), backlog.ErrPartial},
		"all are unavailable":        {of("orders", at(0, -1, kerr.UnstableOffsetCommit.Code), at(1, -1, kerr.UnstableOffsetCommit.Code)), backlog.ErrUnavailable},
		"the group is denied":        {func(g *group) { g.ErrorCode = kerr.GroupAuthorizationFailed.Code }, backlog.ErrDenied},
		"offsets are loading":        {func(g *group) { g.ErrorCode = kerr.CoordinatorLoadInProgress.Code }, backlog.ErrUnavailable},
		"the group is another one":   {func(g *group) { g.Group = "other" }, backlog.ErrPartial},
		"no partition is there":      {func(*group) {}, backlog.ErrPartial},
		"an offset is below none":    {of("orders", at(0, 1, 0), at(1, -2, 0)), backlog.ErrPartial},
		"the error is unknown":       {func(g *group) { g.ErrorCode = 12345 }, backlog.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
			f.produce(t, 1, 3)
			answer(f, kmsg.OffsetFetch, func(q *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
				r := kmsg.NewPtrOffsetFetchResponse()
				for _, asked := range q.Groups {
					g := kmsg.NewOffsetFetchResponseGroup()
					g.Group = asked.Group
					c.edit(&g)
					r.Groups = append(r.Groups, g)
				}
				return r
			})
			result := backlogtest.Read(t, f.source(t, nil), query("orders", "billing"))[0]
			if !errors.Is(result.Err, c.reason) || result.Reading.Backlog() != 0 || result.Armed {
				t.Errorf("the result is %+v, want %v", result, c.reason)
			}
		})
	}
}

// TestUntrustedEnds: whatever a leader leaves out or makes up, the result is an error.
func TestUntrustedEnds(t *testing.T) {
	t.Parallel()
	at := func(partition int32, offset int64, code int16) kmsg.ListOffsetsResponseTopicPartition {
		p := kmsg.NewListOffsetsResponseTopicPartition()
		p.Partition, p.Offset, p.ErrorCode = partition, offset, code
		return p
	}
	for name, c := range map[string]struct {
		topic      string
		partitions []kmsg.ListOffsetsResponseTopicPartition
		reason     error
	}{
		"nothing":                    {"orders", nil, backlog.ErrPartial},
		"a partition is missing":     {"orders", []kmsg.ListOffsetsResponseTopicPartition{at(0, 3, 0)}, backlog.ErrPartial},
		"an end is negative":         {"orders", []kmsg.ListOffsetsResponseTopicPartition{at(0, 3, 0), at(1, -1, 0)}, backlog.ErrPartial},
		"another topic":              {"other", []kmsg.ListOffsetsResponseTopicPartition{at(0, 3, 0), at(1, 3, 0)}, backlog.ErrPartial},
		"not the leader":             {"orders", []kmsg.ListOffsetsResponseTopicPartition{at(0, 3, 0), at(1, -1, kerr.NotLeaderForPartition.Code)}, backlog.ErrPartial},
		"not available yet":          {"orders", []kmsg.ListOffsetsResponseTopicPartition{at(0, -1, kerr.OffsetNotAvailable.Code), at(1, -1, kerr.OffsetNotAvailable.Code)}, backlog.ErrUnavailable},
		"denied":                     {"orders", []kmsg.ListOffsetsResponseTopicPartition{at(0, 3, 0), at(1, -1, kerr.TopicAuthorizationFailed.Code)}, backlog.ErrDenied},
		"partitions that are not":    {"orders", []kmsg.ListOffsetsResponseTopicPartition{at(-5, 3, 0), at(math.MaxInt32, 3, 0)}, backlog.ErrPartial},
		"the right one and no other": {"orders", []kmsg.ListOffsetsResponseTopicPartition{at(0, 3, 0), at(0, 0, 0)}, backlog.ErrPartial},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
			answer(f, kmsg.ListOffsets, func(*kmsg.ListOffsetsRequest) *kmsg.ListOffsetsResponse {
				r := kmsg.NewPtrListOffsetsResponse()
				topic := kmsg.NewListOffsetsResponseTopic()
				topic.Topic, topic.Partitions = c.topic, c.partitions
				r.Topics = append(r.Topics, topic)
				return r
			})
			result := backlogtest.Read(t, f.source(t, nil), query("orders", "billing"))[0]
			if !errors.Is(result.Err, c.reason) || result.Reading.Backlog() != 0 || result.Armed {
				t.Errorf("the result is %+v, want %v", result, c.reason)
			}
		})
	}
}

// TestUntrustedTopics: a broker that has just begun and knows nothing yet says nothing of what is there.
func TestUntrustedTopics(t *testing.T) {
	t.Parallel()
	f := newFake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	source := f.source(t, nil)
	answer(f, kmsg.Metadata, func(q *kmsg.MetadataRequest) *kmsg.MetadataResponse {
		r := kmsg.NewPtrMetadataResponse()
		for _, asked := range q.Topics {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.ErrorCode = asked.Topic, kerr.UnknownTopicOrPartition.Code
			r.Topics = append(r.Topics, topic)
		}
		return r
	})
	for _, r := range backlogtest.Read(t, source, query("orders", "billing"), query("ord*", "billing")) {
		if !errors.Is(r.Err, backlog.ErrUnavailable) || r.Armed {
			t.Errorf("what a broker without brokers says reads as %+v, want ErrUnavailable", r)
		}
	}
}
