package lag

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

const (
	// leaderAge is how long the leader of a stream is taken for known: no longer than that may a
	// leader have become a member that lags behind.
	leaderAge = time.Second
	// leaderTrust is the same while the server does not answer who the leaders are. While one node of a
	// cluster hangs, each such answer takes ten seconds:
	// https://github.com/rabbitmq/rabbitmq-server/blob/main/deps/rabbitmq_stream/src/rabbit_stream_reader.erl (METADATA_TIMEOUT).
	leaderTrust = 30 * time.Second
	// leaderLimit is longer than one such answer.
	leaderLimit = 12 * time.Second
	// leaderWait is how long a read waits for an answer that it can do without.
	leaderWait = 250 * time.Millisecond
	// leaderBatch is how many streams are asked for at once, so that an answer is far below the size of
	// a frame.
	leaderBatch = 500
)

// A led is the leader of a stream and when it was known.
type led struct {
	stream.Leader
	at time.Time
}

// leaders finds out in the background which nodes lead streams, over a connection of its own: an answer may
// take long.
type leaders struct {
	cfg *dialer.Config
	// addresses are those of the settings.
	addresses []string
	nodes     *nodes
	// life ends with the source, and tasks are its goroutines.
	life  context.Context //nolint:containedctx // a search outlives the read that asks for it
	tasks *sync.WaitGroup

	// mu guards what follows.
	mu    sync.Mutex
	known map[string]led
	// search is the one that is under way; nil if none is.
	search *leaderSearch
	// conn is the connection; nil if there is none.
	conn   *stream.Conn
	next   int
	worked bool
	closed bool
}

// A leaderSearch asks for leaders. err is valid once done is closed.
type leaderSearch struct {
	done chan struct{}
	err  error
}

func newLeaders(life context.Context, cfg *dialer.Config, addresses []string, nodes *nodes, tasks *sync.WaitGroup) *leaders {
	return &leaders{cfg: cfg, addresses: addresses, nodes: nodes, life: life, tasks: tasks, known: make(map[string]led)}
}

// of returns the leaders of streams that are known well enough. The error is why others are missing.
func (l *leaders) of(ctx context.Context, names []string) (map[string]led, error) {
	var err error
	start := time.Now()
	for {
		search, some := l.lookup(names, start) //nolint:contextcheck // a search outlives the read that starts it
		if search == nil {
			break
		}
		limit := leaderLimit // a login that is refused takes seconds
		if some {
			limit = leaderWait
		}
		waiting, cancel := context.WithTimeout(ctx, limit)
		select {
		case <-search.done:
			err = search.err
		case <-waiting.Done():
			err = fmt.Errorf("%w: the server does not answer who leads the streams: %w", backlog.ErrUnavailable, waiting.Err())
		}
		cancel()
		if err != nil {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	found := make(map[string]led, len(names))
	for _, name := range names {
		one, known := l.known[name]
		if known && now.Sub(one.at) <= leaderTrust && (one.Code == stream.OK || !one.at.Before(start)) {
			found[name] = one
		}
	}
	return found, err
}

// lookup returns the search that is to be waited for; nil if all leaders are known. some reports that
// some are known well enough to do without: their streams do not wait for the others. That a stream has no leader, or does not exist, is true
// only if it was answered after start.
func (l *leaders) lookup(names []string, start time.Time) (search *leaderSearch, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var wanted []string
	for _, name := range names {
		one, known := l.known[name]
		if !known || now.Sub(one.at) > leaderAge || one.Code != stream.OK && one.at.Before(start) {
			wanted = append(wanted, name)
		}
		some = some || known && one.Code == stream.OK && now.Sub(one.at) <= leaderTrust
	}
	if len(wanted) == 0 || l.closed {
		return nil, some
	}
	if l.search == nil {
		l.search = &leaderSearch{done: make(chan struct{})}
		search := l.search
		l.tasks.Go(func() { l.run(search, wanted) })
	}
	return l.search, some
}

// run asks for leaders.
func (l *leaders) run(search *leaderSearch, names []string) {
	err := l.ask(names)
	l.mu.Lock()
	search.err, l.search = err, nil
	l.mu.Unlock()
	close(search.done)
}

func (l *leaders) ask(names []string) (err error) {
	defer backlog.Contain(&err)
	conn, err := l.connection()
	if err != nil {
		return err
	}
	for len(names) > 0 {
		q := &stream.LeaderQuery{Streams: names[:min(len(names), leaderBatch)]}
		names = names[len(q.Streams):]
		began := time.Now()
		if err := conn.Do(l.life, leaderLimit, q); err != nil {
			return fmt.Errorf("%w: ask who leads the streams: %w", backlog.ErrUnavailable, err)
		}
		l.mu.Lock()
		for name, leader := range q.Leaders {
			l.known[name] = led{Leader: leader, at: began}
		}
		l.mu.Unlock()
	}
	return nil
}

// connection returns the connection, and opens one to the first address that answers if there is none.
// Only one goroutine at a time calls it, that of a search.
func (l *leaders) connection() (*stream.Conn, error) {
	l.mu.Lock()
	conn, next, worked := l.conn, l.next, l.worked
	l.mu.Unlock()
	if conn != nil && conn.Alive() {
		return conn, nil
	}
	if conn != nil {
		conn.Close()
	}
	var err error
	for i := range l.addresses {
		at := (next + i) % len(l.addresses)
		if conn, err = open(l.life, l.cfg, l.addresses[at]); err != nil {
			err = advised(err, worked)
			continue
		}
		l.mu.Lock()
		closed := l.closed
		if !closed {
			l.conn, l.next, l.worked = conn, at, true
		}
		l.mu.Unlock()
		if closed {
			conn.Close()
			return nil, fmt.Errorf("%w: the source is closed", backlog.ErrUnavailable)
		}
		l.nodes.found(conn.About(), l.addresses[at])
		return conn, nil
	}
	return nil, err
}

// distrust forgets when the leader of a stream was known, so that it is asked for again.
func (l *leaders) distrust(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, name)
}

// sweep forgets what is not read any more.
func (l *leaders) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.known, func(_ string, one led) bool { return now.Sub(one.at) > forgetAfter })
}

// close ends the connection. A search that is under way ends with life.
func (l *leaders) close() {
	l.mu.Lock()
	l.closed = true
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
}
