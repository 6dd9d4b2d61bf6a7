package kafka

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A description is what the cluster says of one topic. It is immutable.
type description struct {
	// at is when the cluster answered.
	at time.Time
	id [16]byte
	// leaders are those of the partitions, in order.
	leaders []leader
	// missing reports that the topic does not exist, and err why it cannot be read.
	missing bool
	err     error
}

// A leader is the broker that answers for a partition; id is -1 while there is none.
type leader struct {
	id    int32
	epoch int32
}

// same reports whether both describe the same partitions of the same topic, on whatever brokers.
func (d *description) same(other *description) bool {
	return other != nil && d.id == other.id && len(d.leaders) == len(other.leaders) && d.missing == other.missing && (d.err == nil) == (other.err == nil)
}

// describeTopic judges what a broker says of a topic.
func describeTopic(topic *kmsg.MetadataResponseTopic, now time.Time) *description {
	d := &description{at: now, id: topic.TopicID}
	switch err := kerr.ErrorForCode(topic.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		d.missing = true
		return d
	case err != nil:
		d.err = withReason(err)
		return d
	}
	d.leaders = make([]leader, len(topic.Partitions))
	seen := 0
	for i := range d.leaders {
		d.leaders[i].id = -1
	}
	for _, p := range topic.Partitions {
		if p.Partition < 0 || int(p.Partition) >= len(d.leaders) {
			break
		}
		d.leaders[p.Partition] = leader{p.Leader, p.LeaderEpoch}
		seen++
	}
	if seen != len(d.leaders) || seen == 0 {
		d.err = fmt.Errorf("%w: the broker describes %d of %d partitions", backlog.ErrPartial, seen, len(d.leaders))
	}
	return d
}

// isInternal reports whether a topic is matched only by patterns that ask for such topics.
func isInternal(topic string) bool { return strings.HasPrefix(topic, "__") }
