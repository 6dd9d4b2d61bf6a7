// Package dramatiq reads queues of Dramatiq (Python).
package dramatiq

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

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

func prepare(q backlog.Query, _ layout.KeySearch) layout.Reader {
	namespace := namespaceOf(q.Params)
	list := namespace + ":" + q.Queue
	return &queue{
		namespace: namespace, list: list, messages: list + ".msgs", delayed: list + ".DQ.msgs",
		params: q.Params, payload: q.Params.Get("age") == "payload",
		lost: lostMessages{namespace: namespace, queues: []string{q.Queue, q.Queue + ".DQ"}},
	}
}

func namespaceOf(p backlog.Params) string { return cmp.Or(p.Get("namespace"), "dramatiq") }

// A queue is read in the order in which a message passes.
type queue struct {
	namespace string
	// list, messages and delayed are keys.
	list, messages, delayed string
	params                  backlog.Params
	payload                 bool

	// lost lasts from one read to the next.
	lost lostMessages
}

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	heartbeats := q.namespace + ":" + heartbeatsKey
	// In the order in which a message passes, so that none is missed on its way.
	dst = append(dst,
		resp.Command{Key: q.delayed, KeyType: 'h', Args: []any{"HLEN", q.delayed}},
		resp.Command{Key: q.list, KeyType: 'l', Args: []any{"LLEN", q.list}},
		// What is added here is added to the list too, and what is removed needs no wake-up.
		resp.Command{Key: q.messages, Args: []any{"HLEN", q.messages}},
		// Each process that uses the namespace, a producer too, is there.
		resp.Command{Key: heartbeats, Args: []any{"EXISTS", heartbeats}},
	)
	if q.payload {
		dst = append(dst, resp.Command{Key: q.list, KeyType: 'l', Args: []any{"LINDEX", q.list, 0}})
	}
	return dst
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	delayed, ready, all, used := c.Count(), c.Count(), c.Count(), c.OptionalCount()
	var first string
	if q.payload {
		first, _ = c.Text()
	}
	r := backlog.Reading{Ready: ready, InFlight: backlog.Exactly(max(0, all-ready))}
	if c.Err() != nil {
		return r, c.Err()
	}
	some := [2]bool{r.InFlight.N > 0, delayed > 0}
	look := q.lost.wants(some, trips.Now())
	if r.Backlog() == 0 && delayed == 0 {
		// Redis has no empty lists and hashes, and Dramatiq no register of its queues.
		r.Missing = true
		if used.Known && used.N == 0 {
			r.Warning = fmt.Sprintf("no process of Dramatiq has used the namespace %q", q.namespace)
		}
		return r, nil
	}
	if look {
		if err := q.lost.ask(trips, some); err != nil {
			return r, err
		}
	}
	if delayed > 0 || first != "" {
		if err := q.askMessages(trips, &r, delayed, first); err != nil {
			return r, err
		}
	}
	q.lost.mark(&r, delayed, layout.NewOrphans(q.params), trips.Now())
	return r, nil
}
