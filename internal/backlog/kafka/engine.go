// Package kafka reads the backlog of consumer groups and share groups of Apache Kafka.
//
// The lag of a group is computed here from three answers, because each of them means something that a
// ready-made total hides: the committed offset (or that there is none), the end of the partition, and
// its start, below which retention has deleted what a group has not read. A partition without an
// answer makes the reading an error, never a smaller number.
package kafka

import (
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// layoutTopic is the name of the only layout.
	layoutTopic = "topic"

	paramConsumerGroup  = "consumerGroup"
	paramShareGroup     = "shareGroup"
	paramMissingOffset  = "missingOffset"
	paramIsolationLevel = "isolationLevel"
)

// The values of missingOffset.
const (
	missingEarliest = "earliest"
	missingLatest   = "latest"
	missingError    = "error"
)

// The values of isolationLevel.
const (
	readUncommitted = "readUncommitted"
	readCommitted   = "readCommitted"
)

// maxGroup is the length of a group's name in bytes that a broker accepts.
const maxGroup = 1<<15 - 1

// Engine returns the engine "kafka".
func Engine() backlog.Engine {
	return backlog.Engine{
		Name:     "kafka",
		Summary:  "Apache Kafka 3.0 and later, and servers with its protocol.",
		Settings: settings(),
		Check:    check,
		Open:     open,
		Layouts: []backlog.Layout{{
			Name:     layoutTopic,
			Summary:  "Messages of a topic that a consumer group, or a share group, has not acknowledged. It needs `consumerGroup` or `shareGroup`.",
			Queue:    "names of topics",
			Patterns: "among the topics that the user of the connection may describe, every 5 s; those whose names begin with `__` only if the pattern does",
			Parameters: []backlog.Parameter{
				{Name: paramConsumerGroup, Kind: backlog.KindText, Doc: "Consumer group, of the classic or the new protocol."},
				{Name: paramShareGroup, Kind: backlog.KindText, Doc: "Share group (Kafka 4.2 and later, where it is exact), in place of a consumer group."},
				{Name: paramMissingOffset, Kind: backlog.KindChoice, Allowed: []string{missingEarliest, missingLatest, missingError}, Default: missingEarliest, Doc: "What a partition means for which the consumer group has committed no offset, or one that does not exist any more: `earliest` counts all its messages, `latest` none, `error` is an error."},
				{Name: paramIsolationLevel, Kind: backlog.KindChoice, Allowed: []string{readUncommitted, readCommitted}, Default: readUncommitted, Doc: "That of the consumers. With `readCommitted` messages of open transactions do not count."},
			},
			MissingIsError:    true,
			ReadyIncludesHeld: true,
			Ready:             "the sum over the partitions of the end less the committed offset, or less the first offset that still exists; messages in the hands of consumers are part of it. Control records at the end of a partition do not count once a read has found them, which needs READ on the topic. Gaps that compaction left do",
			Oldest:            "when the message at the committed offset arrived, interpolated from the ends of the partition that were read before; a lower bound if it arrived earlier",
			Passing:           "offsets that were written or committed",
			Finished:          "with a consumer group the offsets that it committed, once it has done so in every partition; gaps that compaction left count, too",
			CheckFinished: func(q backlog.Query) error {
				if q.Params.Get(paramShareGroup) != "" {
					return errShareFinished
				}
				return nil
			},
			Check: checkQuery,
		}},
	}
}

// errShareFinished is a share group from which a throughput is to be learned.
var errShareFinished = errors.New("the layout topic counts finished messages only with a consumerGroup: a share group acknowledges them in any order")

// isSet reports whether a parameter has another value than its default.
func isSet(q backlog.Query, name, byDefault string) bool {
	value := q.Params.Get(name)
	return value != "" && value != byDefault
}

// checkQuery reports parameters that exclude each other.
func checkQuery(q backlog.Query) error {
	consumer, share := q.Params.Get(paramConsumerGroup), q.Params.Get(paramShareGroup)
	switch {
	case consumer == "" && share == "":
		return errors.New(paramConsumerGroup + ": required, or " + paramShareGroup + " in its place")
	case consumer != "" && share != "":
		return errors.New(paramConsumerGroup + ", " + paramShareGroup + ": exclude each other")
	case len(consumer) > maxGroup || len(share) > maxGroup:
		return fmt.Errorf("%s, %s: want a name of at most %d bytes", paramConsumerGroup, paramShareGroup, maxGroup)
	case share != "" && isSet(q, paramMissingOffset, missingEarliest):
		return errors.New(paramMissingOffset + ": only with " + paramConsumerGroup + "; the broker knows where a share group begins")
	case share != "" && isSet(q, paramIsolationLevel, readUncommitted):
		return errors.New(paramIsolationLevel + ": only with " + paramConsumerGroup + "; it is a setting of the share group on the broker")
	}
	return nil
}
