// Package jetstream reads the backlog of consumers of NATS JetStream.
//
// A read asks the API of JetStream for each consumer and each stream, with requests that share one
// connection and one inbox: https://docs.nats.io/reference/reference-protocols/nats_api_reference.
// Three answers that look like an empty queue are none (see judge.go):
//
//   - A consumer that does not exist, which a server also says of one that it has removed because no
//     worker used it: the messages of the stream wait for the worker that creates it again.
//   - Numbers of a replica while the group has no leader.
//   - Numbers that an answer leaves out.
//
// An idle queue wakes by a subscription to the subjects of its messages, which ends with the first one
// (see subscriptions.go).
package jetstream

import (
	"errors"
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// layoutStream is the name of the only layout.
	layoutStream = "stream"

	paramConsumer = "consumer"
	paramFilter   = "filter"
)

const (
	// maxName is the length of the name of a stream or a consumer in bytes that a server accepts:
	// https://github.com/nats-io/nats-server/blob/main/server/jetstream_api.go (JSMaxNameLen).
	maxName = 255
	// maxFilters is how many subjects one trigger may name, and maxSubject their length in bytes.
	maxFilters = 20
	maxSubject = 1024
)

// Engine returns the engine "jetstream".
func Engine() backlog.Engine {
	return backlog.Engine{
		Name:     "jetstream",
		Summary:  "NATS JetStream, on one server or a cluster; the tests run on 2.15.",
		Settings: settings(),
		Check:    check,
		Open:     open,
		Layouts: []backlog.Layout{{
			Name:    layoutStream,
			Summary: "Messages of a stream that a consumer has not been delivered, or that are not acknowledged. Streams with limits, interest and work-queue retention, pull and push consumers.",
			Queue:   "name of the stream",
			Parameters: []backlog.Parameter{
				{Name: paramConsumer, Kind: backlog.KindText, Required: true, Doc: "Name of the consumer; a durable one, or one whose workers give it a name."},
				{Name: paramFilter, Kind: backlog.KindList, Doc: "Subjects that the consumer filters by, such as `orders.new,orders.paid.*`. They count only while the consumer does not exist, in place of all messages of the stream."},
			},
			MissingIsError: true,
			Ready:          "`num_pending`: messages that match the filter of the consumer and were not delivered yet, also while it is paused. While the consumer does not exist all messages of the stream that match `filter`, as an upper bound with a warning. Messages that reached `max_deliver` stay in the stream and do not count",
			InFlight:       "`num_ack_pending`: messages that were delivered and not acknowledged, those that wait for their redelivery and those of workers that are gone included; not known with the ack policy `none`",
			Oldest:         "when the first message of the stream was stored, if the consumer has no filter and was delivered none of the messages that are left; else not known",
			Passing:        "the deliveries of the consumer",
			Check:          checkQuery,
		}},
	}
}

// checkQuery reports names that no server accepts.
func checkQuery(q backlog.Query) error {
	if err := checkName(q.Queue); err != nil {
		return fmt.Errorf("%s: %w", layoutStream, err)
	}
	consumer := q.Params.Get(paramConsumer)
	if consumer == "" {
		return errors.New(paramConsumer + ": required, the name of a consumer of the stream")
	}
	if err := checkName(consumer); err != nil {
		return fmt.Errorf("%s: %w", paramConsumer, err)
	}
	filters := filtersOf(q)
	if len(filters) > maxFilters {
		return fmt.Errorf("%s: names %d subjects, want at most %d", paramFilter, len(filters), maxFilters)
	}
	for _, subject := range filters {
		if err := checkSubject(subject); err != nil {
			return fmt.Errorf("%s: %w", paramFilter, err)
		}
	}
	return nil
}

// filtersOf returns the subjects of the parameter filter.
func filtersOf(q backlog.Query) []string {
	var all []string
	for subject := range strings.SplitSeq(q.Params.Get(paramFilter), ",") {
		if subject = strings.TrimSpace(subject); subject != "" {
			all = append(all, subject)
		}
	}
	return all
}

// checkName reports why text is not the name of a stream or a consumer. It becomes a token of the
// subjects of the API, so that a dot or a wildcard would ask for something else.
func checkName(text string) error {
	switch {
	case text == "" || len(text) > maxName:
		return fmt.Errorf("a name has %d bytes, want from 1 to %d", len(text), maxName)
	case strings.ContainsFunc(text, func(r rune) bool { return strings.ContainsRune(`.*>/\`, r) || r <= ' ' || r == 0x7f }):
		return errors.New(`want a name without blanks, control characters and . * > / \`)
	}
	return nil
}

// checkSubject reports why text is not a subject, with or without wildcards.
func checkSubject(text string) error {
	if len(text) > maxSubject {
		return fmt.Errorf("a subject has %d bytes, want at most %d", len(text), maxSubject)
	}
	tokens := strings.Split(text, ".")
	for i, token := range tokens {
		switch {
		case token == "":
			return errors.New("want a subject without empty tokens, such as orders.new")
		case token == ">" && i < len(tokens)-1:
			return errors.New("want > as the last token of a subject only")
		case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return errors.New("want a subject without blanks and control characters")
		}
	}
	return nil
}
