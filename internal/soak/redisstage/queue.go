package redisstage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/oracle"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// The writes of queues.
const (
	add     = "add"     // messages are enqueued
	take    = "take"    // a worker takes one, so that it is in flight
	finish  = "finish"  // a worker is done with one
	later   = "later"   // a message is delayed for some seconds
	promote = "promote" // a worker moves one that is due to the queue
	drain   = "drain"   // workers are done with all
)

// tolerance is how exactly the moment is known at which a delayed message is due.
const tolerance = 20 * time.Millisecond

// A command is one of Redis.
type command = []any

// A layout says how a framework writes a queue. All keys of a queue are in one slot of a
// cluster, so that what a framework does in a script is a transaction here.
type layout struct {
	name string
	// metadata is that of the trigger.
	metadata map[string]string
	// keys are all in which work may lie.
	keys []string
	// add enqueues a message; take moves the one that was added first to where work in
	// flight is; finish removes one. Without take workers take for good, and finish removes
	// the one that was added first.
	add, take, finish func(id string) []command
	// later adds a message that is due at a time, which is a multiple of unit; promote
	// moves it to the queue.
	later   func(id string, due time.Time) []command
	promote func(id string, due time.Time) []command
	unit    time.Duration
	// register makes the framework know the queue; its key may be in another slot.
	register command
	// shrunk is for how long one message more may be reported after the queue shrank.
	shrunk time.Duration
	// group says that it is a stream with a consumer group, and atMost that what is reported
	// of it may be too high.
	group, atMost bool
	// spread says that reading it takes keys of other slots of a cluster too.
	spread bool
}

// writes are those that the layout has, the frequent ones more than once.
func (l layout) writes() []string {
	all := []string{add, add, add, finish, finish, drain}
	if l.take != nil {
		all = append(all, take, take)
	}
	if l.later != nil {
		all = append(all, later, promote)
	}
	return all
}

func (l layout) shape() plan.Queue { return plan.Queue{Name: l.name, Writes: l.writes()} }

// A delayed is a message that is due at a time.
type delayed struct {
	id  string
	due time.Time
}

// A queue writes one queue and keeps the books. It is used by one goroutine at a time.
type queue struct {
	layout
	// client returns a client of the server that holds a key.
	client  func(key string) *redis.Client
	history *oracle.History

	number       int
	ready, taken []string
	delayed      []delayed
	// written is when it was written last, and last the latest time at which a message is due.
	written, last time.Time
}

// writeTimeout bounds a write.
const writeTimeout = 2 * time.Second

func newQueue(l layout, client func(key string) *redis.Client) *queue {
	return &queue{layout: l, client: client, history: oracle.New(time.Now())}
}

// staged returns the queue as one connection of the scaler reads it.
func (q *queue) staged(connection string) *stage.Queue {
	return &stage.Queue{Name: q.name, Connection: connection, Metadata: q.metadata, AtMost: q.atMost, History: q.history, Write: q.write}
}

// apart is how far apart two writes of one queue are at least. The scaler reads a queue in
// several steps, and may count too few if messages come and go between two of them.
const apart = 200 * time.Millisecond

func (q *queue) write(ctx context.Context, write string, n int) (done bool) {
	if time.Since(q.written) < apart {
		return false
	}
	defer func() { q.written = time.Now() }()
	if q.history.Lost() {
		return q.empty(ctx)
	}
	switch write {
	case add:
		return q.enqueue(ctx, n)
	case take:
		return q.takeOne(ctx)
	case finish:
		return q.finishSome(ctx, 1)
	case later:
		return q.delay(ctx, time.Now(), n)
	case promote:
		return q.promoteOne(ctx)
	default:
		return q.finishSome(ctx, len(q.ready)+len(q.taken))
	}
}

// heads are the keys that the commands of a write begin with.
func (q *queue) heads() []string {
	keys := []string{q.keys[0]}
	if q.register != nil {
		keys = append(keys, fmt.Sprint(q.register[1]))
	}
	return keys
}

func (q *queue) next() string {
	q.number++
	return strconv.Itoa(q.number)
}

func (q *queue) enqueue(ctx context.Context, n int) bool {
	var commands []command
	var ids []string
	for range n {
		id := q.next()
		ids = append(ids, id)
		commands = append(commands, q.add(id)...)
	}
	if !q.do(ctx, commands, 0, n, n) {
		return true
	}
	q.ready = append(q.ready, ids...)
	return true
}

func (q *queue) takeOne(ctx context.Context) bool {
	if q.take == nil || len(q.ready) == 0 {
		return false
	}
	id := q.ready[0]
	// While it is moved a read in several steps may see it twice.
	if q.do(ctx, q.take(id), 0, 1, 0) {
		q.ready, q.taken = q.ready[1:], append(q.taken, id)
	}
	return true
}

// finishSome finishes n messages, those in flight first.
func (q *queue) finishSome(ctx context.Context, n int) bool {
	var commands []command
	var ready, taken int
	for _, id := range q.taken {
		if taken < n {
			commands = append(commands, q.finish(id)...)
			taken++
		}
	}
	for _, id := range q.ready {
		if ready+taken >= n {
			break
		}
		if q.take != nil {
			commands = append(commands, q.take(id)...)
		}
		commands = append(commands, q.finish(id)...)
		ready++
	}
	if ready+taken == 0 {
		return false
	}
	if q.do(ctx, commands, ready+taken, 0, -ready-taken) {
		q.ready, q.taken = q.ready[ready:], q.taken[taken:]
	}
	return true
}

func (q *queue) delay(ctx context.Context, now time.Time, n int) bool {
	// One second more, because it must be there before it is due.
	due := now.Add(time.Duration(n)*time.Second + time.Second + q.unit - 1).Truncate(q.unit)
	if !due.After(q.last) {
		due = q.last.Add(q.unit)
	}
	q.last = due
	id := q.next()
	extra := q.history.Later(due, tolerance)
	if q.do(ctx, q.later(id, due), 0, 0, 0) {
		q.history.Confirm(extra)
		q.delayed = append(q.delayed, delayed{id, due})
	}
	return true
}

func (q *queue) promoteOne(ctx context.Context) bool {
	for i, d := range q.delayed {
		if time.Since(d.due) < tolerance {
			continue
		}
		if q.do(ctx, q.promote(d.id, d.due), 0, 1, 0) {
			q.delayed = append(q.delayed[:i:i], q.delayed[i+1:]...)
			q.ready = append(q.ready, d.id)
		}
		return true
	}
	return false
}

// do runs commands that change the count by delta, and by between -down and +up on the
// way. It returns false if the answer was lost.
func (q *queue) do(ctx context.Context, commands []command, down, up, delta int) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	began := time.Now()
	change := q.history.Begin(began, int64(down), int64(up))
	if delta < 0 && q.shrunk > 0 {
		q.history.Allow(began, began.Add(q.shrunk), 1)
	}
	if q.register != nil && q.client(fmt.Sprint(q.register[1])).Do(ctx, q.register...).Err() != nil {
		change.Lost()
		return false
	}
	replies, err := q.client(q.keys[0]).TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range commands {
			p.Do(ctx, c...)
		}
		return nil
	})
	if err != nil {
		for _, r := range replies {
			// The group is there already.
			if e := r.Err(); e != nil && e != redis.Nil && !strings.HasPrefix(e.Error(), "BUSYGROUP") { //nolint:errorlint // go-redis returns the bare value
				change.Lost()
				return false
			}
		}
	}
	change.Done(time.Now(), int64(delta))
	return true
}

// empty removes all keys, after which it is known what the queue holds.
func (q *queue) empty(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	// What was sent before, and not answered, is done or gone when this is answered.
	client := q.client(q.keys[0])
	for range 2 {
		if client.Do(ctx, "EXISTS", q.keys[0]).Err() != nil {
			return false
		}
	}
	done := q.emptied(time.Now())
	del := command{"DEL"}
	for _, key := range q.keys {
		del = append(del, key)
	}
	if client.Do(ctx, del...).Err() != nil {
		return false
	}
	done(time.Now())
	return true
}

// emptied notes that the queue is being emptied, and returns what notes that it is empty.
func (q *queue) emptied(at time.Time) (done func(time.Time)) {
	empty := q.history.Empty(at)
	return func(at time.Time) {
		empty(at)
		if q.shrunk > 0 {
			q.history.Allow(at, at.Add(q.shrunk), 1)
		}
		q.ready, q.taken, q.delayed = nil, nil, nil
	}
}
