package redis

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A session is one connection to one server, and ends with it: it never reconnects.
// It is used by one goroutine at a time, apart from ended and abort.
type session struct {
	client *redis.Client
	conn   *conn
	// server is who is at the other end; it is replaced as a whole.
	server *resp.Server
	// tracked is the listener to which the server reports changes of the keys that were
	// read in this session; nil if the server does not track.
	tracked *ear
	// checked is when the server was last asked whether it still is what it was, and
	// unanswered holds the questions that it refuses (question.bit).
	checked    time.Time
	unanswered uint8
	// swaps is how often databases of the server have been swapped.
	swaps string
	// until is when the session is to be replaced; zero is never.
	until time.Time
	// fresh says that no command was run yet.
	fresh bool
	// inUse says that the session has been read from; only then is its end news.
	inUse atomic.Bool
	// pending are the commands that are under way, and sent the same as go-redis takes
	// them; both are used again and again.
	pending []redis.Cmd
	sent    []redis.Cmder
	// open are the transactions among them. singly says that the server runs none.
	open   []transaction
	singly bool
}

// pipelineLength is how many commands are sent before their answers are read. With fewer the
// server waits while answers are parsed: it works on the first ones before the last are sent.
const pipelineLength = 10_000

var errDialled = errors.New("the connection is lost")

// openSession connects to address. onEnd is called when a session ends that was in use.
func openSession(ctx context.Context, cfg *config, who login, database int, address string, onEnd func()) (*session, error) {
	inner, err := dial(ctx, cfg, address)
	if err != nil {
		return nil, err
	}
	s := &session{server: &resp.Server{}}
	s.conn = newConn(guard(inner, false), func() {
		if s.inUse.Load() {
			onEnd()
		}
	})
	s.client = newClient(cfg, who, database, address, s.conn, nil)
	return s, nil
}

// newClient returns a client that has one connection in its life, c.
func newClient(cfg *config, who login, database int, address string, c net.Conn, onConnect func(context.Context, *redis.Conn) error) *redis.Client {
	var dialled atomic.Bool
	client := redis.NewClient(&redis.Options{
		Addr: address,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if !dialled.CompareAndSwap(false, true) {
				return nil, errDialled
			}
			return c, nil
		},
		OnConnect:                onConnect,
		Protocol:                 2,
		Username:                 who.username,
		Password:                 who.password.Reveal(),
		DB:                       database,
		MaxRetries:               -1,
		DialerRetries:            1,
		PoolSize:                 1,
		PipelinePoolSize:         -1,
		ConnMaxIdleTime:          -1,
		ReadTimeout:              cfg.answerTimeout,
		WriteTimeout:             cfg.answerTimeout,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	client.AddHook(handshake{})
	return client
}

// track asks the server to report changes of keys that are read in this session to e,
// which is connected to the same server. The error may be the server's refusal.
func (s *session) track(ctx context.Context, e *ear) error {
	s.tracked = nil
	if err := s.tracking(ctx, "ON", "REDIRECT", e.id); err != nil {
		return err
	}
	s.tracked = e
	return nil
}

// untrack ends track. The server would go on to keep the keys that are read here, for a
// listener that is gone.
func (s *session) untrack(ctx context.Context) error {
	s.tracked = nil
	return s.tracking(ctx, "OFF")
}

// tracking sends CLIENT TRACKING with the given arguments.
func (s *session) tracking(ctx context.Context, arguments ...any) error {
	s.conn.begin()
	defer s.conn.end()
	// The client library waits for its answer however long ctx is over.
	defer context.AfterFunc(ctx, s.abort)()
	return s.client.Do(ctx, append([]any{"CLIENT", "TRACKING"}, arguments...)...).Err()
}

// do runs commands in pipelines and appends their replies to dst. The error is that of
// the connection, which is of no use afterwards; what the server answers to a command
// is in its reply.
func (s *session) do(ctx context.Context, commands []resp.Command, dst []resp.Reply) ([]resp.Reply, error) {
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	s.conn.begin()
	defer s.conn.end()
	dst = slices.Grow(dst, len(commands))
	for len(commands) > 0 {
		var err error
		some := commands[:nextPipeline(commands)]
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
func (s *session) pipeline(ctx context.Context, commands []resp.Command, dst []resp.Reply) ([]resp.Reply, error) {
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
		dst = append(dst, resp.Reply{Value: value, Err: err, Server: s.server})
	}
	for _, t := range s.open {
		if err := s.unpack(t, dst[begin+t.from:begin+t.to]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// exec runs a pipeline. The error is that of the connection, among them a login that
// was refused; what the server answered to a command is in the command.
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

// ended tells whether the connection is gone.
func (s *session) ended() bool {
	select {
	case <-s.conn.closed:
		return true
	default:
		return false
	}
}

// expired reports whether the session is to be replaced.
func (s *session) expired() bool { return !s.until.IsZero() && time.Now().After(s.until) }

// abort ends the connection without waiting.
func (s *session) abort() { _ = s.conn.Close() }

// close ends the session and waits for its goroutine.
func (s *session) close() {
	s.abort()
	_ = s.client.Close()
	<-s.conn.done
}
