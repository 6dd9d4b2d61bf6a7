package jetstream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The values of a consumer's configuration.
const (
	ackNone         = "none"
	pinnedClient    = "pinned_client"
	retainsInterest = "interest"
)

// judge returns what the answers about a stream and a consumer mean. Of a stream whose numbers are not
// later than those of the consumer the caller knows that no more messages are pending than it has.
func judge(s *streamInfo, c *consumerInfo, now time.Time) backlog.Reading {
	r := backlog.Reading{At: now, Ready: *c.Pending, Passed: backlog.Exactly(*c.Delivered.Consumer), Paused: c.Paused}
	if *c.Pending > *s.State.Messages {
		// Known bugs of servers: https://github.com/nats-io/nats-server/issues/5655.
		r.Ready, r.Quality = *s.State.Messages, backlog.UpperBound
	}
	if c.Config.AckPolicy != ackNone {
		r.InFlight = backlog.Exactly(*c.AckPending)
		// Each worker that has anything to do holds one message at least.
		r.MaxUseful = max(c.Config.MaxAckPending, 0)
	}
	if n := int64(len(c.Config.PriorityGroups)); c.Config.PriorityPolicy == pinnedClient && n > 0 {
		// One client of each group gets messages: https://docs.nats.io/nats-concepts/jetstream/consumers.
		r.MaxUseful = n
	}
	if c.Paused && c.PauseRemaining > 0 {
		r.NextDue = now.Add(c.PauseRemaining)
	}
	if c.Config.DeliverSubject != "" && c.Config.DeliverGroup == "" {
		r.Consumers = backlog.Exactly(0)
		if c.PushBound {
			r.Consumers.N = 1
		}
	}
	if isUnfiltered(s, c.filters()) {
		r.Enqueued = backlog.Exactly(*s.State.LastSeq)
		r.Oldest = oldest(s, c)
	}
	return r
}

// counting is how long a server may take to count a message as pending after it has confirmed that it is
// stored. A goroutine of the server counts the messages of a stream one after the other. With 2,000
// messages at once the count was behind for milliseconds:
// https://github.com/nats-io/nats-server/blob/main/server/stream.go (signalConsumersLoop).
const counting = 50 * time.Millisecond

// errUncounted is a consumer for which messages may wait that are not counted yet.
var errUncounted = fmt.Errorf("%w: nothing is pending, and the server may not have counted the latest messages yet", backlog.ErrPartial)

// provesEmpty reports whether nothing can wait for a consumer with nothing pending: the stream is empty, or
// all its messages were delivered.
func provesEmpty(s *streamInfo, c *consumerInfo) bool {
	return *s.State.Messages == 0 || isUnfiltered(s, c.filters()) && *s.State.LastSeq <= *c.Delivered.Stream
}

// isUnfiltered reports whether filters let all messages of a stream pass.
func isUnfiltered(s *streamInfo, filters []string) bool {
	return len(filters) == 0 || slices.Contains(filters, ">") ||
		len(s.Config.Subjects) == 1 && slices.Contains(filters, s.Config.Subjects[0])
}

// oldest returns the age of the oldest message that waits for a consumer without a filter, which is the
// first of the stream if none of those that are left was delivered.
//
// Worked example: a work queue has had 100 messages, and 90 are acknowledged and gone. Its first is
// 91, and the last delivered is 90: message 91 waits, since it was stored. While 91 is being worked on,
// the last delivered is 91, and the age of 92 is not known.
func oldest(s *streamInfo, c *consumerInfo) backlog.Age {
	if *c.Pending == 0 || *s.State.Messages == 0 || *s.State.FirstSeq <= *c.Delivered.Stream || s.State.FirstAt.Unix() <= 0 {
		return backlog.Age{}
	}
	return backlog.Age{Since: s.State.FirstAt, Kind: backlog.AgeExact}
}

// judgeMissing returns what a consumer means that does not exist: the worker that creates it may get all
// messages of the stream that match its filter. matching is how many those are; nil if that is not known.
func judgeMissing(s *streamInfo, consumer string, filters []string, matching *int64, now time.Time) backlog.Reading {
	r := backlog.Reading{At: now, Ready: *s.State.Messages, InFlight: backlog.Exactly(0), Quality: backlog.UpperBound}
	what := "all messages of the stream count"
	switch {
	case matching != nil:
		r.Ready = min(*matching, r.Ready)
		what = "all messages of the stream that match filter count"
	case len(filters) > 0:
		what = "all messages of the stream count, because too many subjects match filter"
	}
	if s.Config.Retention == retainsInterest {
		what += ", and the stream keeps no message that arrives without a consumer"
	}
	r.AddWarning(fmt.Sprintf("consumer %q does not exist: %s", consumer, what))
	return r
}

// count returns how many messages match filters, by the answers to each. It is nil if that is not known.
func count(answers []*streamInfo) *int64 {
	// A subject may match several filters.
	all := make(map[string]int64)
	for _, s := range answers {
		if s == nil || s.Total > len(s.State.Subjects) {
			return nil
		}
		maps.Copy(all, s.State.Subjects)
	}
	var sum int64
	for _, n := range all {
		if n < 0 || n > maxNumber {
			return nil
		}
		sum = min(sum+n, maxNumber)
	}
	return &sum
}

// wakeSubjects returns the subjects of the messages that a query waits for, with which a plain
// subscription notices them; or the reason why it cannot.
func wakeSubjects(cfg *config, s *streamInfo, filters []string) (subjects []string, reason string) {
	isSet := func(raw []byte) bool { return len(raw) > 0 && string(raw) != "null" }
	switch {
	case cfg.foreign != "":
		return nil, cfg.foreign
	case isSet(s.Config.Mirror):
		return nil, "it is a mirror, whose messages come from another stream"
	case len(s.Config.Sources) > 0:
		return nil, "it has sources, from which messages come"
	case isSet(s.Config.SubjectTransform):
		return nil, "it transforms subjects"
	case s.Config.Schedules:
		return nil, "it has scheduled messages, which the server publishes"
	}
	subjects = filters
	if len(subjects) == 0 || slices.ContainsFunc(subjects, beginsWild) {
		subjects = s.Config.Subjects
	}
	own, _, _ := strings.Cut(cfg.inbox, ".")
	for _, subject := range subjects {
		first, _, _ := strings.Cut(subject, ".")
		switch {
		case checkSubject(subject) != nil:
			return nil, "its subjects make no sense"
		case beginsWild(subject), first == "$JS", first == "$SYS", first == own:
			return nil, "its subjects cover those of the API"
		}
	}
	switch {
	case len(subjects) == 0:
		return nil, "it has no subjects"
	case len(subjects) > maxSubjects:
		return nil, fmt.Sprintf("it has more than %d subjects", maxSubjects)
	}
	return subjects, ""
}

// beginsWild reports whether the first token of a subject is a wildcard.
func beginsWild(subject string) bool {
	first, _, _ := strings.Cut(subject, ".")
	return first == "*" || first == ">"
}
