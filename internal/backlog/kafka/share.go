package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/tail"
)

// A share group (KIP-932) has no committed offset but a first one, from which its coordinator tracks
// each message. From Kafka 4.2 on the broker computes the lag (KIP-1226):
// https://cwiki.apache.org/confluence/x/4hA0Dw. Until the first acknowledgement is stored both are
// -1, also where its members hold messages already.

// addShareGroup adds a group to the request of its coordinator.
func addShareGroup(requests map[int32]kmsg.Request, g *group, topics map[*topic]struct{}) {
	r, _ := requests[g.coordinator].(*kmsg.DescribeShareGroupOffsetsRequest)
	if r == nil {
		r = kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		requests[g.coordinator] = r
	}
	one := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	one.GroupID = g.name
	for t := range topics {
		asked := kmsg.NewDescribeShareGroupOffsetsRequestGroupTopic()
		asked.Topic, asked.Partitions = t.name, numbers(t)
		one.Topics = append(one.Topics, asked)
	}
	r.Groups = append(r.Groups, one)
}

// shareAnswers returns what a coordinator says of share groups; nil if that is something else.
func shareAnswers(response kmsg.Response) map[groupKey]groupAnswer {
	r, ok := response.(*kmsg.DescribeShareGroupOffsetsResponse)
	if !ok {
		return nil
	}
	answers := make(map[groupKey]groupAnswer, len(r.Groups))
	for i := range r.Groups {
		g := &r.Groups[i]
		one := groupAnswer{code: g.ErrorCode}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				one.marks = append(one.marks, groupMark{Place: tail.Place{Topic: t.Topic, Partition: p.Partition}, offset: p.StartOffset, lag: p.Lag, code: p.ErrorCode})
			}
		}
		answers[groupKey{g.GroupID, true}] = one
	}
	return answers
}
