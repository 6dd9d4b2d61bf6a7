package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Confirm implements backlog.Confirmer: a server that is what it was, that tracks what was
// read, and that answers on the connection that reads and then on the one that listens, has
// reported every change until then, except SWAPDB, which is asked for. Keyspace notifications confirm nothing: who asks for them is
// not told when somebody else switches them off.
func (s *source) Confirm(ctx context.Context) (time.Time, error) {
	began := time.Now()
	if err := s.finder.problem(); err != nil {
		return time.Time{}, fmt.Errorf("confirm connection %q: %w", s.cfg.connection, s.cfg.advised(err, s.record()))
	}
	find := s.topology.current
	if s.panel != nil {
		// What was armed on a server is worth nothing once another one is the master.
		find = s.topology.refresh
	}
	r, err := find(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("confirm connection %q: %w", s.cfg.connection, s.cfg.advised(err, s.record()))
	}
	errs := make([]error, 0, len(r.nodes))
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, n := range r.nodes {
		asking.Go(func() {
			err := n.confirm(ctx)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	asking.Wait()
	if err := errors.Join(errs...); err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			return time.Time{}, errors.ErrUnsupported
		}
		return time.Time{}, fmt.Errorf("confirm connection %q: %w", s.cfg.connection, s.cfg.advised(err, s.record()))
	}
	return began, nil
}

// confirm returns nil if every change was heard of that the server made before the call.
func (n *node) confirm(ctx context.Context) (err error) {
	defer backlog.Contain(&err)
	if err := n.take(ctx); err != nil {
		return err
	}
	defer n.release()
	ctx, cancel := n.bind(ctx)
	defer cancel()
	e := n.hearing()
	s := n.session
	if e == nil || e.ended() != nil || e.mode != wakeTracking || s == nil || s.tracked != e {
		return errors.ErrUnsupported
	}
	commands := []resp.Command{{Args: []any{"PING"}}}
	questions := s.questions(n.cfg, e, true)
	for _, q := range questions {
		commands = append(commands, resp.Command{Args: q.args})
	}
	replies, err := s.do(ctx, commands, nil)
	if err == nil {
		err = s.judge(questions, replies[1:])
	}
	switch {
	case errors.Is(err, errSwapped):
		return err
	case err != nil:
		n.drop()
		return err
	case replies[0].Err != nil:
		return replies[0].Err
	}
	return e.ask(ctx)
}

// ask waits for an answer on the ear: what the server had to tell before has come by then.
func (e *ear) ask(ctx context.Context) error {
	e.asked++
	question := strconv.FormatUint(e.asked, 10)
	if err := e.pubsub.Ping(ctx, question); err != nil {
		return err
	}
	for {
		select {
		case answer := <-e.answers:
			if answer == question {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for an answer on the listening connection: %w", context.Cause(ctx))
		}
	}
}

// answered keeps an answer for the one who asks; the latest, for the one before may be
// to a question that nobody waits for any more.
func (e *ear) answered(p *redis.Pong) {
	if p.Payload == "" {
		// The listener itself has asked.
		return
	}
	select {
	case <-e.answers:
	default:
	}
	select {
	case e.answers <- p.Payload:
	default:
	}
}
