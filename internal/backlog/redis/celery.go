package redis

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Defaults of kombu's Redis transport.
// https://github.com/celery/kombu/blob/main/kombu/transport/redis.py
const (
	celerySeparator = "\x06\x16"
	celerySteps     = "0,3,6,9"
	celeryUnacked   = "unacked"
	// celeryExchange is Celery's task_default_exchange.
	celeryExchange = "celery"
)

var errPrioritySteps = errors.New("prioritySteps: want whole numbers from 0, such as 0,3,6,9")

// celerySample is of how many unacknowledged messages the queue is looked at.
const celerySample = 1000

// celeryLayout is a queue of Celery on Redis: a list for each priority, and what
// workers have taken in one hash for all queues.
func celeryLayout() layout {
	return layout{
		Layout: backlog.Layout{
			Name: "celery",
			Summary: "A queue of Celery with Redis as its broker (kombu). A task with a countdown or an ETA, a retry among them, is no different from others until a worker takes it and holds it, so it is ready first and in flight then. " +
				"Workers take more tasks than they run (worker_prefetch_multiplier), and with Redis these too are in flight. " +
				"Without task_acks_late a task is acknowledged when it begins, so while it runs it is not in flight: then hold keeps its worker.",
			Queue: "name of the queue, by default celery",
			Patterns: registered("set _kombu.binding.celery, that of the default exchange") +
				", and " + scanned("other sets _kombu.binding.*") + "; of an exchange of another name than its queue only the default one is looked into",
			Parameters: []backlog.Parameter{
				{Name: "globalKeyPrefix", Kind: backlog.KindText, Doc: "global_keyprefix of broker_transport_options."},
				{Name: "prioritySteps", Kind: backlog.KindList, Default: celerySteps, Doc: "priority_steps of broker_transport_options."},
				{Name: "separator", Kind: backlog.KindText, Doc: "sep of broker_transport_options, which is between the name of a queue and a priority; the bytes 06 16 unless given."},
				{Name: "unackedKey", Kind: backlog.KindText, NamesKey: true, Default: celeryUnacked, Doc: "unacked_key of broker_transport_options."},
				{Name: "unacked", Kind: backlog.KindChoice, Allowed: []string{"queue", "all", "none"}, Default: "queue", Doc: "Which of the unacknowledged messages are in flight here: those of this queue, told by reading at most 1,000 of them (it needs the rights +hrandfield +srandmember), all in the database, or none, so that they are unknown."},
			},
			Ready:    "the tasks on the queue, of all priorities",
			InFlight: "the tasks that workers have taken and not acknowledged, those held for later among them, also of a worker that was killed; without the rights to tell their queue those of all queues",
			Check:    checkCelery,
		},
		shared:   true,
		discover: discoverCelery,
		prepare:  prepareCelery,
	}
}

func checkCelery(q backlog.Query) error {
	for _, step := range celeryPriorities(q.Params) {
		if n, err := strconv.Atoi(step); err != nil || n < 0 {
			return errPrioritySteps
		}
	}
	return nil
}

// celeryPriorities are the priorities that have lists of their own.
func celeryPriorities(p backlog.Params) []string {
	steps := strings.Split(cmp.Or(p.Get("prioritySteps"), celerySteps), ",")
	for i := range steps {
		steps[i] = strings.TrimSpace(steps[i])
	}
	return steps
}

func celerySeparatorOf(p backlog.Params) string { return cmp.Or(p.Get("separator"), celerySeparator) }

// celeryRegistry are the bindings of the default exchange, and of the one that is
// named like the queue, as Celery makes it for a queue that it does not know.
func celeryRegistry(p backlog.Params, queue string) registry {
	binding, separator := p.Get("globalKeyPrefix")+celeryBinding, celerySeparatorOf(p)
	r := registry{
		framework: "Celery", queue: queue, sets: []string{binding + celeryExchange},
		name: func(member string) string {
			// routing key, pattern, queue
			parts := strings.Split(member, separator)
			return parts[len(parts)-1]
		},
	}
	if queue != celeryExchange && queue != "" {
		r.sets = append(r.sets, binding+queue)
	}
	return r
}

func discoverCelery(p backlog.Params) discovery {
	r := celeryRegistry(p, "")
	return discovery{registry: &r, traces: []trace{{kind: "set", prefix: p.Get("globalKeyPrefix") + celeryBinding}}}
}

func prepareCelery(q backlog.Query, _ keySearch) step {
	prefix := q.Params.Get("globalKeyPrefix")
	separator := celerySeparatorOf(q.Params)
	s := &celeryStep{
		prefix: prefix, queue: q.Queue, separator: separator,
		unacked:  prefix + cmp.Or(q.Params.Get("unackedKey"), celeryUnacked),
		which:    cmp.Or(q.Params.Get("unacked"), "queue"),
		registry: celeryRegistry(q.Params, q.Queue),
	}
	for _, step := range celeryPriorities(q.Params) {
		list := prefix + q.Queue
		if step != "0" {
			list += separator + step
		}
		s.lists = append(s.lists, list)
	}
	return s
}

// A celeryStep asks for the lengths of the lists, and how much is unacknowledged.
type celeryStep struct {
	prefix, queue, separator string
	lists                    []string
	unacked                  string
	// which of the unacknowledged messages are in flight: queue, all or none.
	which    string
	registry registry
}

func (s *celeryStep) commands(dst []command, _ time.Time) []command {
	for _, list := range s.lists {
		dst = append(dst, command{key: list, class: 'l', args: []any{"LLEN", list}})
	}
	switch s.which {
	case "queue":
		// Nobody has to be woken by it: what comes here comes from a list, and what
		// is restored goes to one.
		dst = append(dst, command{key: s.unacked, args: []any{"HLEN", s.unacked}})
	case "all":
		// What comes here may come from the list of any queue.
		dst = append(dst, command{key: s.unacked, class: 'h', args: []any{"HLEN", s.unacked}})
	}
	return dst
}

func (s *celeryStep) outcome(replies []reply, _ time.Time) outcome {
	c := counts{replies: replies}
	var reading backlog.Reading
	for range s.lists {
		reading.Ready += c.number()
	}
	var unacked int64
	if s.which != "none" {
		unacked = c.number()
	}
	if c.err != nil {
		return fail(c.err)
	}
	if s.which == "queue" && unacked > 0 {
		return outcome{next: &celeryUnackedStep{celeryStep: s, reading: reading, total: unacked}}
	}
	if s.which != "none" {
		reading.InFlight = backlog.Exactly(unacked)
	}
	return s.finish(reading)
}

// finish asks the registry about a queue in which there is nothing.
func (s *celeryStep) finish(reading backlog.Reading) outcome {
	if reading.Backlog() == 0 {
		return s.registry.ask(reading)
	}
	return done(reading)
}

// A celeryUnackedStep looks at unacknowledged messages.
type celeryUnackedStep struct {
	*celeryStep
	reading backlog.Reading
	// total is the number of unacknowledged messages of all queues.
	total int64
}

func (s *celeryUnackedStep) commands(dst []command, _ time.Time) []command {
	return append(dst, command{key: s.unacked, args: []any{"HRANDFIELD", s.unacked, celerySample, "WITHVALUES"}})
}

func (s *celeryUnackedStep) outcome(replies []reply, _ time.Time) outcome {
	if err := replies[0].err; err != nil && errors.Is(reason(err), backlog.ErrDenied) {
		return done(s.all(replies[0].refused("HRANDFIELD", 6, 2)))
	}
	c := counts{replies: replies}
	pairs := c.texts(-1)
	if len(pairs)%2 != 0 {
		c.fault(fmt.Errorf("%w: %d elements where names and values belong", errReply, len(pairs)))
	}
	if c.err != nil {
		return fail(c.err)
	}
	taken := newCelerySample(pairs)
	taken.partial = taken.looked >= celerySample && s.total > taken.looked
	if len(taken.exchanges) == 0 {
		return s.finish(taken.complete(s.reading, s.queue, nil))
	}
	return outcome{next: &celeryBindingsStep{celeryUnackedStep: s, taken: taken}}
}

// all counts the messages of all queues, because the server refused to tell their own
// queues.
func (s *celeryUnackedStep) all(refused string) backlog.Reading {
	r := s.reading
	r.InFlight, r.Quality = backlog.Exactly(s.total), backlog.UpperBound
	r.Warning = refused + ", so what workers of all queues have taken counts as in flight"
	return r
}

// A celeryBindingsStep asks to which queues the exchanges of unacknowledged messages lead.
type celeryBindingsStep struct {
	*celeryUnackedStep
	taken *celeryTaken
}

func (s *celeryBindingsStep) commands(dst []command, _ time.Time) []command {
	for _, exchange := range s.taken.exchanges {
		key := s.prefix + celeryBinding + exchange
		dst = append(dst, command{key: key, args: []any{"SRANDMEMBER", key, registryPage}})
	}
	return dst
}

func (s *celeryBindingsStep) outcome(replies []reply, _ time.Time) outcome {
	if slices.ContainsFunc(replies, func(r reply) bool { return r.err != nil && errors.Is(reason(r.err), backlog.ErrDenied) }) {
		return done(s.all("the server does not allow SRANDMEMBER"))
	}
	c := counts{replies: replies}
	bindings := make(map[string][]celeryBound)
	for _, exchange := range s.taken.exchanges {
		rows := c.texts(-1)
		if len(rows) >= registryPage {
			// Not all of them are seen: nobody can tell where its messages go.
			continue
		}
		bindings[exchange] = nil
		for _, row := range rows {
			// routing key, pattern, queue
			if parts := strings.Split(row, s.separator); len(parts) == 3 {
				bindings[exchange] = append(bindings[exchange], celeryBound{key: parts[0], queue: parts[2]})
			}
		}
	}
	if c.err != nil {
		return fail(c.err)
	}
	return s.finish(s.taken.complete(s.reading, s.queue, bindings))
}
