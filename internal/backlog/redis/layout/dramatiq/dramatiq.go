// Package dramatiq reads queues of Dramatiq (Python).
package dramatiq

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// maxDelayed is how many delayed messages of a queue are looked at.
const maxDelayed = 2000

// Layout is a queue of Dramatiq. The keys are those of Dramatiq 1 and 2, which
// differ in where they note what workers have fetched:
// https://github.com/Bogdanp/dramatiq/blob/master/dramatiq/brokers/redis/dispatch.lua
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "dramatiq",
			Summary: "A queue of Dramatiq (Python). A message stays in NAMESPACE:QUEUE.msgs until it is acknowledged, so nothing that a worker has fetched is overlooked. " +
				"Delayed messages and retries (NAMESPACE:QUEUE.DQ.msgs) are promoted by a worker alone, and only the message itself tells when it is due: with +hrandfield the options of at most 2,000 delayed messages are read; " +
				"without that right all of them count as due. Of more than 2,000 a random 2,000 are looked at, and at least one counts as due. " +
				"Keys: NAMESPACE:QUEUE*, NAMESPACE:__heartbeats__, NAMESPACE:__acks__.*; the last two are for warnings alone.",
			Queue:    "name of the queue",
			Patterns: layout.FoundByScan("hashes NAMESPACE:*.msgs"),
			Parameters: []backlog.Parameter{
				{Name: "namespace", Kind: backlog.KindText, Default: "dramatiq", Doc: "namespace of the application's RedisBroker."},
				{Name: "age", Kind: backlog.KindChoice, Allowed: []string{"none", "payload"}, Default: "none", Doc: "With payload the time at which the first message was made (message_timestamp) is read from the message. It needs the rights +lindex +hget."},
				layout.OrphanParameter("messages that for a minute are neither on the queue nor noted as fetched by a worker, of at most 250 workers"),
			},
			Ready:    "the messages on the queue, whatever their priority",
			Due:      "delayed messages and retries whose time has come",
			InFlight: "the messages that workers have fetched and not acknowledged, also those of a worker that was killed",
			Oldest:   "exact while nothing waits but delayed messages that are due; with age payload exact, the time at which the first message on the queue was made (in JSON); else a lower bound or unknown",
		},
		Discover: discover,
		Prepare:  prepare,
	}
}

func discover(p backlog.Params) layout.Discovery {
	prefix := namespaceOf(p) + ":"
	messages := []layout.KeyPattern{
		{Type: "hash", Prefix: prefix, FixedPrefix: ":", Suffix: ".msgs", ExceptSuffix: ".DQ.msgs", ExceptContaining: ".XQ.msgs"},
		{Type: "hash", Prefix: prefix, FixedPrefix: ":", Suffix: ".DQ.msgs"},
	}
	return layout.Discovery{
		KeyPatterns: messages, PrefixParameter: "namespace",
		AnyPrefix: append(slices.Clone(messages), layout.KeyPattern{Type: "zset", Prefix: prefix + heartbeatsKey, FixedPrefix: ":" + heartbeatsKey, ShowsFramework: true}),
	}
}

func prepare(q backlog.Query, _ layout.KeySearch) layout.Step {
	namespace := namespaceOf(q.Params)
	queue := namespace + ":" + q.Queue
	return &queueStep{
		namespace: namespace, list: queue, messages: queue + ".msgs", delayed: queue + ".DQ.msgs",
		params: q.Params, payload: q.Params.Get("age") == "payload",
		lost: lostMessages{namespace: namespace, queues: []string{q.Queue, q.Queue + ".DQ"}},
	}
}

func namespaceOf(p backlog.Params) string { return cmp.Or(p.Get("namespace"), "dramatiq") }

// A queueStep asks for the counts of a queue.
type queueStep struct {
	namespace string
	// list, messages and delayed are keys.
	list, messages, delayed string
	params                  backlog.Params
	payload                 bool

	// lost lasts from one read to the next.
	lost lostMessages
}

// Commands implements layout.Step.
func (s *queueStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	heartbeats := s.namespace + ":" + heartbeatsKey
	// In the order in which a message passes, so that none is missed on its way.
	dst = append(dst,
		resp.Command{Key: s.delayed, KeyType: 'h', Args: []any{"HLEN", s.delayed}},
		resp.Command{Key: s.list, KeyType: 'l', Args: []any{"LLEN", s.list}},
		// What is added here is added to the list too, and what is removed needs no wake-up.
		resp.Command{Key: s.messages, Args: []any{"HLEN", s.messages}},
		// Each process that uses the namespace, a producer too, is there.
		resp.Command{Key: heartbeats, Args: []any{"EXISTS", heartbeats}},
	)
	if s.payload {
		dst = append(dst, resp.Command{Key: s.list, KeyType: 'l', Args: []any{"LINDEX", s.list, 0}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *queueStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	delayed, ready, all, used := c.Count(), c.Count(), c.Count(), c.OptionalCount()
	var first string
	if s.payload {
		first, _ = c.Text()
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	reading := backlog.Reading{Ready: ready, InFlight: backlog.Exactly(max(0, all-ready))}
	look := s.lost.wants(reading.InFlight.N > 0, delayed > 0, now)
	if reading.Backlog() == 0 && delayed == 0 {
		// Redis has no empty lists and hashes, and Dramatiq no register of its queues.
		reading.Missing = true
		if used.Known && used.N == 0 {
			reading.Warning = fmt.Sprintf("no process of Dramatiq has used the namespace %q", s.namespace)
		}
		return layout.Done(reading)
	}
	next := &messagesStep{queueStep: s, reading: reading, total: delayed, first: first}
	if look {
		return layout.Outcome{Next: &workersStep{next}}
	}
	return next.begin(now)
}

// A messagesStep looks into messages: when the delayed ones are due, and how
// old the first one is.
type messagesStep struct {
	*queueStep
	reading backlog.Reading
	// total is the number of delayed messages.
	total int64
	// first is the id of the first message on the queue; "" if it is not wanted.
	first string
	// due is since when the first delayed message that was seen has been due; zero if none is.
	due time.Time
}

// begin returns what looks into messages, if that is wanted of any.
func (s *messagesStep) begin(now time.Time) layout.Outcome {
	if s.total == 0 && s.first == "" {
		return s.finish(now)
	}
	return layout.Outcome{Next: s}
}

// finish is the outcome of a reading whose counts are known.
func (s *messagesStep) finish(now time.Time) layout.Outcome {
	s.lost.mark(&s.reading, s.total, layout.NewOrphans(s.params), now)
	return layout.Done(s.reading)
}

// Commands implements layout.Step.
func (s *messagesStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	if s.total > 0 {
		dst = append(dst, resp.Command{Key: s.delayed, Args: []any{"HRANDFIELD", s.delayed, maxDelayed, "WITHVALUES"}})
	}
	if s.first != "" {
		dst = append(dst, resp.Command{Key: s.messages, Args: []any{"HGET", s.messages, s.first}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *messagesStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	if s.total > 0 {
		if err := s.addDelayed(replies[0], now); err != nil {
			return layout.Fail(err)
		}
		replies = replies[1:]
		if s.reading.Quality == backlog.Exact {
			s.reading.Oldest = layout.Schedule{Since: s.due}.Age(s.reading.Ready)
		}
	}
	if s.first == "" {
		return s.finish(now)
	}
	c := resp.NewDecoder(replies)
	text, found := c.Text()
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	if found {
		m, err := parseMessage(text)
		if err != nil {
			return layout.Fail(err)
		}
		if made := layout.Milliseconds.Time(m.Timestamp); !made.IsZero() {
			s.reading.Oldest = backlog.Age{Since: layout.Earlier(made, s.due), Kind: backlog.AgeExact}
		}
	}
	return s.finish(now)
}

// addDelayed adds to the reading what the delayed messages in r say.
func (s *messagesStep) addDelayed(r resp.Reply, now time.Time) error {
	if r.IsDenied() {
		s.reading.Due, s.reading.Quality = s.total, backlog.UpperBound
		s.reading.Warning = r.Denial("HRANDFIELD", 6, 2) + ", so when delayed messages are due is not known: all of them count as due"
		return nil
	}
	c := resp.NewDecoder([]resp.Reply{r})
	pairs := c.Strings(-1)
	if len(pairs)%2 != 0 {
		c.Fail(fmt.Errorf("%w: %d elements where names and values belong", resp.ErrReply, len(pairs)))
	}
	if c.Err() != nil {
		return c.Err()
	}
	for i := 1; i < len(pairs); i += 2 {
		m, err := parseMessage(pairs[i])
		due := layout.Milliseconds.Time(m.Options.ETA)
		if err == nil && due.After(now) {
			s.reading.NextDue = layout.Earlier(s.reading.NextDue, due)
			continue
		}
		s.reading.Due++
		s.due = layout.Earlier(s.due, due)
		if err != nil {
			s.reading.Quality = backlog.UpperBound
			s.reading.Warning = "delayed messages are not in JSON, so when they are due is not known: all of them count as due"
		}
	}
	if looked := int64(len(pairs) / 2); looked >= maxDelayed && s.total > looked {
		s.reading.Due = max(1, s.reading.Due)
		s.reading.Quality = backlog.LowerBound
	}
	return nil
}

// A message is what is wanted of a message; times are Unix times in milliseconds.
type message struct {
	Timestamp float64 `json:"message_timestamp"`
	Options   struct {
		ETA float64 `json:"eta"`
	} `json:"options"`
}

func parseMessage(text string) (message, error) {
	var m message
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		// What the message holds is not repeated: it may be a secret.
		return message{}, fmt.Errorf("%w: a message of Dramatiq is not in JSON", resp.ErrReply)
	}
	return m, nil
}
