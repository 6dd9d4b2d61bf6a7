package conn

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Session is one connection on which commands are run. It ends with its connection, and is
// used by one goroutine at a time, apart from Ended and Abort.
type Session struct {
	// Server is what is known of the server at the other end. The owner replaces it as a
	// whole; replies point to it.
	Server *resp.Server
	// NoTransactions makes commands of transactions run one by one. Do sets it where the server
	// runs no transactions.
	NoTransactions bool

	client *redis.Client
	conn   *watchedConn
	// inUse reports that the session has been read from. Only then its end is reported.
	inUse atomic.Bool
	// pending are the commands that are under way, and sent the same as go-redis takes
	// them. Both are used again by the next pipeline.
	pending []redis.Cmd
	sent    []redis.Cmder
	// open are the transactions among them.
	open []transaction
}

// pipelineLength is how many commands are sent before their answers are read. With fewer the
// server waits while answers are parsed: it works on the first ones before the last are sent.
const pipelineLength = 10_000

// Open connects to address. onEnd is called when a session ends after MarkUsed.
func Open(ctx context.Context, cfg *Config, login Login, database int, address string, onEnd func()) (*Session, error) {
	inner, err := dial(ctx, cfg, address)
	if err != nil {
		return nil, err
	}
	s := &Session{Server: &resp.Server{}}
	s.conn = watch(guard(inner, false), func() {
		if s.inUse.Load() {
			onEnd()
		}
	})
	s.client = newClient(cfg, login, database, address, s.conn, nil)
	return s, nil
}

// MarkUsed notes that the session is read from, so that its end matters.
func (s *Session) MarkUsed() { s.inUse.Store(true) }

// Do runs commands in pipelines and appends their replies to dst. The error is that of the
// connection, which is of no use afterwards. What the server answers to a command is in its
// reply.
func (s *Session) Do(ctx context.Context, commands []resp.Command, dst []resp.Reply) ([]resp.Reply, error) {
	stop := context.AfterFunc(ctx, s.Abort)
	defer stop()
	s.conn.begin()
	defer s.conn.end()
	dst = slices.Grow(dst, len(commands))
	for len(commands) > 0 {
		var err error
		some := commands[:resp.Undivided(commands, pipelineLength)]
		commands = commands[len(some):]
		if dst, err = s.pipeline(ctx, some, dst); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return nil, err
		}
	}
	return dst, nil
}

// pipeline runs commands as one pipeline and appends their replies to dst.
func (s *Session) pipeline(ctx context.Context, commands []resp.Command, dst []resp.Reply) ([]resp.Reply, error) {
	if cap(s.pending) < len(commands) {
		s.pending = make([]redis.Cmd, len(commands))
	}
	pending := s.pending[:len(commands)]
	// What was answered is not held until the next time.
	defer clear(pending)
	s.sent, s.open = s.sent[:0], s.open[:0]
	for i := range commands {
		if commands[i].Asking {
			s.sent = append(s.sent, redis.NewCmd(ctx, "ASKING"))
		}
		pending[i] = *redis.NewCmd(ctx, commands[i].Args...)
		s.enqueue(ctx, commands, i)
	}
	pipe := s.client.Pipeline()
	_ = pipe.BatchProcess(ctx, s.sent...)
	if err := exec(ctx, pipe); err != nil {
		return dst, err
	}
	begin := len(dst)
	for i := range pending {
		value, err := pending[i].Result()
		switch {
		case err == nil:
		case errors.Is(err, redis.Nil):
			err = resp.ErrNil
		case !resp.IsServerError(err):
			return dst, err
		}
		dst = append(dst, resp.Reply{Value: value, Err: err, Server: s.Server})
	}
	for _, t := range s.open {
		if err := s.unpack(t, dst[begin+t.from:begin+t.to]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// exec runs a pipeline. The error is that of the connection, among them a login that
// was refused. What the server answered to a command is in the command.
func exec(ctx context.Context, pipe redis.Pipeliner) error {
	commands, err := pipe.Exec(ctx)
	if err == nil {
		return nil
	}
	if !resp.IsServerError(err) && !errors.Is(err, redis.Nil) {
		return err
	}
	if !slices.ContainsFunc(commands, func(c redis.Cmder) bool { return c.Err() != nil }) {
		// go-redis leaves the commands as they were if it could not log in.
		return err
	}
	return nil
}

// Ended reports whether the connection has ended.
func (s *Session) Ended() bool {
	select {
	case <-s.conn.closed:
		return true
	default:
		return false
	}
}

// Abort ends the connection without waiting.
func (s *Session) Abort() { _ = s.conn.Close() }

// Close ends the session and waits for its goroutine.
func (s *Session) Close() {
	s.Abort()
	_ = s.client.Close()
	<-s.conn.done
}
