package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/tail"
)

// Timestamps of ListOffsets with a meaning of their own:
// https://kafka.apache.org/protocol#The_Messages_ListOffsets.
const (
	listLatest   = -1
	listEarliest = -2
)

// A batch is one attempt to read jobs.
type batch struct {
	*source

	jobs   []*job
	topics map[string]*topic
	groups map[groupKey]*group
	// committed are the topics whose last stable offset matters.
	committed map[*topic]struct{}
	// wants are the topics of each group.
	wants map[*group]map[*topic]struct{}
}

func newBatch(s *source, jobs []*job) *batch {
	b := &batch{
		source: s, jobs: jobs, topics: make(map[string]*topic), groups: make(map[groupKey]*group),
		committed: make(map[*topic]struct{}), wants: make(map[*group]map[*topic]struct{}),
	}
	for _, j := range jobs {
		b.groups[j.spec.group] = j.group
		wants := b.wants[j.group]
		if wants == nil {
			wants = make(map[*topic]struct{})
			b.wants[j.group] = wants
		}
		for _, t := range j.topics {
			if t.about.err != nil || len(t.partitions) == 0 {
				continue
			}
			b.topics[t.name] = t
			wants[t] = struct{}{}
			if j.spec.committed {
				b.committed[t] = struct{}{}
			}
		}
	}
	return b
}

// coordinators finds the brokers that store the offsets of groups, where they are not known.
func (b *batch) coordinators(ctx context.Context, fresh bool) {
	var unknown []string
	byName := make(map[string][]*group)
	for _, g := range b.groups {
		if len(b.wants[g]) == 0 || g.coordinator >= 0 && !fresh {
			continue
		}
		g.coordinator, g.err = -1, fmt.Errorf("find the coordinator of group %q: %w", g.name, errNoAnswer)
		if byName[g.name] == nil {
			unknown = append(unknown, g.name)
		}
		byName[g.name] = append(byName[g.name], g)
	}
	if len(unknown) == 0 {
		return
	}
	answered, err := b.findCoordinators(ctx, unknown)
	for name, groups := range byName {
		for _, g := range groups {
			one, known := answered[name]
			switch {
			case err != nil:
				g.err = fmt.Errorf("find the coordinator of group %q: %w", name, err)
			case !known:
			case one.ErrorCode != 0:
				g.err = fmt.Errorf("find the coordinator of group %q: %w", name, withReason(kerr.ErrorForCode(one.ErrorCode)))
			default:
				g.coordinator, g.err = one.NodeID, nil
			}
		}
	}
}

// findCoordinators asks any broker.
func (b *batch) findCoordinators(ctx context.Context, groups []string) (map[string]kmsg.FindCoordinatorResponseCoordinator, error) {
	_, brokers := b.catalog.about()
	broker, ok := b.sender.pick(brokers)
	if !ok {
		return nil, errSilent
	}
	r := kmsg.NewPtrFindCoordinatorRequest()
	r.CoordinatorKeys = groups
	answer, err := b.sender.ask(ctx, broker, r)
	if err != nil {
		return nil, err
	}
	response, ok := answer.(*kmsg.FindCoordinatorResponse)
	if !ok {
		return nil, fmt.Errorf("%w: the broker answers with %T", backlog.ErrMismatch, answer)
	}
	found := make(map[string]kmsg.FindCoordinatorResponseCoordinator, len(response.Coordinators))
	for _, one := range response.Coordinators {
		found[one.Key] = one
	}
	return found, nil
}

// ends reads the ends of all partitions. Those that consumers with the isolation level read_committed
// reach are read after the others: a marker that is written in between then makes the tail, which
// waits at the other end, report a change.
func (b *batch) ends(ctx context.Context) {
	b.list(ctx, listLatest, false, func(_ *topic, p *partition, _ int) *offset { return &p.high })
	for _, t := range b.topics {
		for i := range t.partitions {
			t.judge(&t.partitions[i])
		}
	}
	if len(b.committed) == 0 {
		return
	}
	b.list(ctx, listLatest, true, func(t *topic, p *partition, _ int) *offset {
		if _, wanted := b.committed[t]; !wanted || p.high.err != nil {
			return nil
		}
		return &p.stable
	})
}

// starts reads the starts of partitions in which a group has something before it, or no offset.
func (b *batch) starts(ctx context.Context) {
	needed := make(map[*partition]struct{})
	for g, topics := range b.wants {
		for t := range topics {
			c := g.topics[t]
			for i := range t.partitions {
				p := &t.partitions[i]
				at := c.offsets[i]
				if p.high.err == nil && at.err == nil && (position{committed: at.n, end: p.high.n, high: p.high.n}).needsStart() {
					needed[p] = struct{}{}
				}
			}
		}
	}
	if len(needed) == 0 {
		return
	}
	b.list(ctx, listEarliest, false, func(_ *topic, p *partition, _ int) *offset {
		if _, wanted := needed[p]; !wanted {
			return nil
		}
		return &p.start
	})
}

// list asks the leaders for one offset of each partition for which slot returns where to put it.
func (b *batch) list(ctx context.Context, timestamp int64, committed bool, slot func(t *topic, p *partition, i int) *offset) {
	requests := make(map[int32]kmsg.Request)
	index := make(map[int32]map[*topic]int)
	for _, t := range b.topics {
		for i, leader := range t.about.leaders {
			to := slot(t, &t.partitions[i], i)
			switch {
			case to == nil:
				continue
			case leader.id < 0:
				to.err = errNoLeader
				continue
			}
			r, _ := requests[leader.id].(*kmsg.ListOffsetsRequest)
			if r == nil {
				r = kmsg.NewPtrListOffsetsRequest()
				r.ReplicaID = -1
				if committed {
					r.IsolationLevel = 1
				}
				requests[leader.id], index[leader.id] = r, make(map[*topic]int)
			}
			at, known := index[leader.id][t]
			if !known {
				at = len(r.Topics)
				index[leader.id][t] = at
				one := kmsg.NewListOffsetsRequestTopic()
				one.Topic = t.name
				r.Topics = append(r.Topics, one)
			}
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.CurrentLeaderEpoch, one.Timestamp = int32(i), leader.epoch, timestamp
			r.Topics[at].Partitions = append(r.Topics[at].Partitions, one)
		}
	}
	for _, a := range b.sender.askAll(ctx, requests) {
		b.listed(a, slot)
	}
}

// listed takes over the answer of one broker. It may name only what that broker was asked for.
func (b *batch) listed(a answer, slot func(t *topic, p *partition, i int) *offset) {
	request, _ := a.request.(*kmsg.ListOffsetsRequest)
	response, ok := a.response.(*kmsg.ListOffsetsResponse)
	if a.err == nil && !ok {
		a.err = fmt.Errorf("%w: the broker answers with %T", backlog.ErrMismatch, a.response)
	}
	asked := make(map[tail.Place]*offset)
	for _, t := range request.Topics {
		for _, p := range t.Partitions {
			known := b.topics[t.Topic]
			to := slot(known, &known.partitions[p.Partition], int(p.Partition))
			if a.err != nil {
				to.err = a.err
				continue
			}
			asked[tail.Place{Topic: t.Topic, Partition: p.Partition}] = to
		}
	}
	if a.err != nil {
		return
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			to := asked[tail.Place{Topic: t.Topic, Partition: p.Partition}]
			err := withReason(kerr.ErrorForCode(p.ErrorCode))
			switch {
			case to == nil:
			case err != nil:
				to.err = err
			case p.Offset < 0:
				to.err = fmt.Errorf("%w: the broker knows no offset", backlog.ErrPartial)
			default:
				to.n, to.err = p.Offset, nil
			}
		}
	}
}
