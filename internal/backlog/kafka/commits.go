package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/tail"
)

// A groupAnswer is what a coordinator says of one group, of either kind.
type groupAnswer struct {
	code  int16
	marks []groupMark
}

// A groupMark is where a group is in one partition.
type groupMark struct {
	tail.Place

	// offset is the one that a consumer group has committed, or the first that a share group tracks.
	offset int64
	// lag is that of a share group; negative where the coordinator does not know it.
	lag  int64
	code int16
}

// commits reads the offsets of all groups: those of consumer groups and those of share groups by one
// request to each coordinator.
func (b *batch) commits(ctx context.Context) {
	consumers, shares := make(map[int32]kmsg.Request), make(map[int32]kmsg.Request)
	for key, g := range b.groups {
		switch {
		case g.err != nil || len(b.wants[g]) == 0:
		case key.share:
			addShareGroup(shares, g, b.wants[g])
		default:
			addConsumerGroup(consumers, g, b.wants[g])
		}
	}
	for _, a := range b.sender.askAll(ctx, consumers, shares) {
		b.takeCommits(a)
	}
}

// addConsumerGroup adds a group to the request of its coordinator. It does not require stable offsets:
// while a transaction with offsets is open, the former ones are the truth.
func addConsumerGroup(requests map[int32]kmsg.Request, g *group, topics map[*topic]struct{}) {
	r, _ := requests[g.coordinator].(*kmsg.OffsetFetchRequest)
	if r == nil {
		r = kmsg.NewPtrOffsetFetchRequest()
		requests[g.coordinator] = r
	}
	one := kmsg.NewOffsetFetchRequestGroup()
	one.Group = g.name
	for t := range topics {
		asked := kmsg.NewOffsetFetchRequestGroupTopic()
		asked.Topic, asked.Partitions = t.name, numbers(t)
		one.Topics = append(one.Topics, asked)
	}
	r.Groups = append(r.Groups, one)
}

// numbers are those of the partitions of a topic.
func numbers(t *topic) []int32 {
	all := make([]int32, len(t.partitions))
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// takeCommits takes over the answer of one coordinator. It may name only groups that it was asked for.
func (b *batch) takeCommits(a answer) {
	var asked []groupKey
	var answers map[groupKey]groupAnswer
	switch r := a.request.(type) {
	case *kmsg.OffsetFetchRequest:
		for i := range r.Groups {
			asked = append(asked, groupKey{name: r.Groups[i].Group})
		}
		answers = consumerAnswers(a.response)
	case *kmsg.DescribeShareGroupOffsetsRequest:
		for i := range r.Groups {
			asked = append(asked, groupKey{name: r.Groups[i].GroupID, share: true})
		}
		answers = shareAnswers(a.response)
	}
	if a.err == nil && answers == nil {
		a.err = fmt.Errorf("%w: the broker answers with %T", backlog.ErrMismatch, a.response)
	}
	for _, key := range asked {
		g := b.groups[key]
		one, answered := answers[key]
		switch {
		case a.err != nil:
			g.err = a.err
		case !answered:
			g.err = fmt.Errorf("%s: %w", key, errNoAnswer)
		default:
			g.err = b.takeGroup(g, key, one)
		}
	}
}

// consumerAnswers returns what a coordinator says of consumer groups; nil if that is something else.
func consumerAnswers(response kmsg.Response) map[groupKey]groupAnswer {
	r, ok := response.(*kmsg.OffsetFetchResponse)
	if !ok {
		return nil
	}
	answers := make(map[groupKey]groupAnswer, len(r.Groups))
	for i := range r.Groups {
		g := &r.Groups[i]
		one := groupAnswer{code: g.ErrorCode}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				one.marks = append(one.marks, groupMark{Place: tail.Place{Topic: t.Topic, Partition: p.Partition}, offset: p.Offset, lag: -1, code: p.ErrorCode})
			}
		}
		answers[groupKey{name: g.Group}] = one
	}
	return answers
}

// takeGroup takes over the offsets of one group, and returns why there are none. Some servers do not
// know a group that has committed nothing.
func (b *batch) takeGroup(g *group, key groupKey, one groupAnswer) error {
	err := kerr.ErrorForCode(one.code)
	switch {
	case errors.Is(err, kerr.GroupIDNotFound) && key.share:
		return fmt.Errorf("%w: there is no %s", backlog.ErrMismatch, key)
	case errors.Is(err, kerr.GroupIDNotFound):
		for t := range b.wants[g] {
			for i := range g.topics[t].offsets {
				g.topics[t].offsets[i] = offset{n: noOffset}
			}
		}
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", key, withReason(err))
	}
	for _, m := range one.marks {
		c := g.topics[b.topics[m.Topic]]
		if c == nil || m.Partition < 0 || int(m.Partition) >= len(c.offsets) {
			continue
		}
		c.offsets[m.Partition], c.lags[m.Partition] = m.judge()
	}
	return nil
}

// judge returns the offset and the lag.
func (m groupMark) judge() (offset, int64) {
	err := withReason(kerr.ErrorForCode(m.code))
	if err == nil && m.offset < noOffset {
		err = fmt.Errorf("%w: the broker says that the group is at %d", backlog.ErrPartial, m.offset)
	}
	if err != nil {
		return offset{err: err}, -1
	}
	return offset{n: m.offset}, m.lag
}
