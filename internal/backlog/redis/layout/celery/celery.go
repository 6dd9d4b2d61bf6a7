// Package celery reads queues of Celery (Python), as kombu keeps them in Redis.
package celery

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Defaults of kombu's Redis transport.
// https://github.com/celery/kombu/blob/main/kombu/transport/redis.py
const (
	defaultSeparator  = "\x06\x16"
	defaultUnackedKey = "unacked"
	defaultIndexKey   = "unacked_index"
	// defaultExchange is Celery's task_default_exchange.
	defaultExchange = "celery"
)

var errPrioritySteps = errors.New("prioritySteps: want whole numbers from 0, such as 0,3,6,9")

// sampleSize is of how many unacknowledged messages the queue is looked at.
const sampleSize = 1000

// defaultPriorities is how many priorities have lists that are always read: kombu's own steps
// are 0, 3, 6 and 9, and all from 0 to 9 are the usual other choice.
const defaultPriorities = 10

// Layout is a queue of Celery on Redis: a list for each priority, and what
// workers have taken in one hash for all queues.
func Layout() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "celery",
			Summary: "A queue of Celery with Redis as its broker (kombu). A task with a countdown or an ETA, a retry among them, is no different from others until a worker takes it and holds it, so it is ready first and in flight then. " +
				"Workers take more tasks than they run (worker_prefetch_multiplier), and with Redis these too are in flight. " +
				"Without task_acks_late a task is acknowledged when it begins, so while it runs it is not in flight: then hold keeps its worker. " +
				"Keys: QUEUE and QUEUE followed by the separator and 1 to 9, unacked, unacked_index, _kombu.binding.*, each after global_keyprefix.",
			Queue: "name of the queue, by default celery",
			Patterns: layout.FoundInRegistry("set _kombu.binding.celery, that of the default exchange") +
				", and " + layout.FoundByScan("other sets _kombu.binding.*") + "; of an exchange of another name than its queue only the default one is looked into",
			Parameters: []backlog.Parameter{
				{Name: "globalKeyPrefix", Kind: backlog.KindText, Doc: "global_keyprefix of broker_transport_options."},
				{Name: "prioritySteps", Kind: backlog.KindList, Doc: "priority_steps of broker_transport_options that are above 9; those from 0 to 9 are always read."},
				{Name: "separator", Kind: backlog.KindText, Doc: "sep of broker_transport_options, which is between the name of a queue and a priority; the bytes 06 16 unless given."},
				{Name: "unackedKey", Kind: backlog.KindText, NamesKey: true, Default: defaultUnackedKey, Doc: "unacked_key of broker_transport_options."},
				{Name: "unackedIndexKey", Kind: backlog.KindText, NamesKey: true, Default: defaultIndexKey, Doc: "unacked_index_key of broker_transport_options."},
				{Name: "unacked", Kind: backlog.KindChoice, Allowed: []string{"queue", "all", "none"}, Default: "queue", Doc: "Which of the unacknowledged messages are in flight here: those of this queue, found by reading at most 1,000 of them (it needs the rights +hrandfield +srandmember), all in the database, or none, so that they are unknown. With ack_emulation off workers keep none, so it has to be none."},
				layout.OrphanParameter("unacknowledged messages that have no score in the unacknowledged index for a minute, which no worker puts back on the queue"),
			},
			Ready:    "the tasks on the queue, of all priorities",
			InFlight: "the tasks that workers have taken and not acknowledged, those held for later among them, also of a worker that was killed; without the rights to tell their queue those of all queues",
			Check:    check,
		},
		SharesCommands: true,
		Discover:       discover,
		Prepare:        prepare,
	}
}

func check(q backlog.Query) error {
	for _, step := range extraPriorities(q.Params) {
		if n, err := strconv.Atoi(step); err != nil || n < 0 {
			return errPrioritySteps
		}
	}
	return nil
}

// extraPriorities are the priorities that are named in addition, besides those that
// always have lists of their own.
func extraPriorities(p backlog.Params) []string {
	var steps []string
	for step := range strings.SplitSeq(p.Get("prioritySteps"), ",") {
		if step = strings.TrimSpace(step); step != "" {
			steps = append(steps, step)
		}
	}
	return steps
}

// listKeys are the keys of the lists of a queue, one for each priority.
func listKeys(p backlog.Params, list string) []string {
	lists := []string{list}
	for step := 1; step < defaultPriorities; step++ {
		lists = append(lists, list+separatorOf(p)+strconv.Itoa(step))
	}
	for _, step := range extraPriorities(p) {
		// Below that it is among them already; check has checked the number.
		if n, _ := strconv.Atoi(step); n >= defaultPriorities {
			lists = append(lists, list+separatorOf(p)+step)
		}
	}
	return lists
}

func separatorOf(p backlog.Params) string { return cmp.Or(p.Get("separator"), defaultSeparator) }

// newRegistry are the bindings of the default exchange, and of the one that is
// named like the queue, as Celery makes it for a queue that it does not know.
func newRegistry(p backlog.Params, queue string) layout.Registry {
	binding, separator := p.Get("globalKeyPrefix")+bindingPrefix, separatorOf(p)
	r := layout.Registry{
		Framework: "Celery", Queue: queue, Sets: []string{binding + defaultExchange},
		QueueOf: func(member string) string {
			// routing key, pattern, queue
			parts := strings.Split(member, separator)
			if len(parts) < 3 {
				return queueIn(member)
			}
			return parts[len(parts)-1]
		},
	}
	if queue != defaultExchange && queue != "" {
		r.Sets = append(r.Sets, binding+queue)
	}
	return r
}

func discover(p backlog.Params) layout.Discovery {
	r := newRegistry(p, "")
	bindings := layout.KeyPattern{Type: "set", Prefix: p.Get("globalKeyPrefix") + bindingPrefix, FixedPrefix: bindingPrefix, ShowsFramework: true}
	return layout.Discovery{Registry: &r, KeyPatterns: []layout.KeyPattern{bindings}, AnyPrefix: []layout.KeyPattern{bindings}, PrefixParameter: "globalKeyPrefix"}
}

func prepare(q backlog.Query, _ layout.KeySearch) layout.Reader {
	prefix := q.Params.Get("globalKeyPrefix")
	separator := separatorOf(q.Params)
	return &queue{
		prefix: prefix, name: q.Queue, separator: separator, params: q.Params,
		lists:    listKeys(q.Params, prefix+q.Queue),
		unacked:  prefix + cmp.Or(q.Params.Get("unackedKey"), defaultUnackedKey),
		index:    prefix + cmp.Or(q.Params.Get("unackedIndexKey"), defaultIndexKey),
		which:    cmp.Or(q.Params.Get("unacked"), "queue"),
		registry: newRegistry(q.Params, q.Queue),
	}
}

// A queue asks for the lengths of the lists, and how much is unacknowledged.
type queue struct {
	prefix, name, separator string
	lists                   []string
	// unacked and index are the keys of the unacknowledged messages and of when each was
	// taken, by which workers put back what was not acknowledged in time.
	unacked, index string
	params         backlog.Params
	// which of the unacknowledged messages are in flight: queue, all or none.
	which    string
	registry layout.Registry

	// lost are the tags of messages that are not in the index, and since when that is seen.
	lost map[string]time.Time
	// short is since when there are fewer in the index than messages.
	short layout.Streak
}

// Commands implements layout.Reader.
func (q *queue) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, list := range q.lists {
		dst = append(dst, resp.Command{Key: list, KeyType: 'l', Args: []any{"LLEN", list}})
	}
	switch q.which {
	case "queue":
		// It wakes nothing: what comes here comes from a list, and what is restored goes to
		// one.
		dst = append(dst, resp.Command{Key: q.unacked, Args: []any{"HLEN", q.unacked}})
	case "all":
		// What comes here may come from the list of any queue.
		dst = append(dst, resp.Command{Key: q.unacked, KeyType: 'h', Args: []any{"HLEN", q.unacked}})
	default:
		return dst
	}
	return append(dst, resp.Command{Key: q.index, Args: []any{"ZCARD", q.index}})
}

// Read implements layout.Reader.
func (q *queue) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	var r backlog.Reading
	for range q.lists {
		r.Ready += c.Count()
	}
	var u unacknowledged
	if q.which != "none" {
		u = unacknowledged{total: c.Count(), indexed: c.OptionalCount()}
	}
	if c.Err() != nil {
		return r, c.Err()
	}
	switch q.which {
	case "queue":
		if err := q.countOwn(trips, &r, u); err != nil {
			return r, err
		}
	case "all":
		q.countAll(&r, u, trips.Now())
	}
	if r.Backlog()+r.Ignored > 0 {
		return r, nil
	}
	return q.askRegistry(trips, r)
}
