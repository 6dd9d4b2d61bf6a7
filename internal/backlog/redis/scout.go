package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A scout is the connection to one server that is asked where the servers are.
type scout struct {
	panel   *panel
	address string
	session *session
	// refused are the places of commands that the server does not allow; they are not sent
	// again on this connection.
	refused map[int]bool
}

// ask sends commands. All but the first are answered if the server allows it.
func (s *scout) ask(ctx context.Context, commands [][]any) panelAnswer {
	replies, err := s.try(ctx, commands)
	if err != nil {
		err = s.panel.cfg.prober.look(ctx, s.address, s.panel.cfg.tls, err)
		err = fmt.Errorf("ask %s: %w", s.address, err)
		s.close()
	}
	return panelAnswer{from: s.address, replies: replies, err: err}
}

func (s *scout) try(ctx context.Context, commands [][]any) (replies []resp.Reply, err error) {
	defer backlog.Contain(&err)
	cfg := s.panel.cfg
	ctx, cancel := context.WithTimeout(ctx, min(cfg.answerTimeout, scoutTime))
	defer cancel()
	if s.session == nil || s.session.ended() {
		s.close()
		opened, err := openSession(ctx, cfg, s.panel.who, 0, s.address, func() {})
		if err != nil {
			return nil, err
		}
		s.session, s.refused = opened, make(map[int]bool)
	}
	replies = make([]resp.Reply, len(commands))
	var sent []resp.Command
	var places []int
	for i, args := range commands {
		if s.refused[i] {
			replies[i].Err = errRefusedBefore
			continue
		}
		sent, places = append(sent, resp.Command{Args: args}), append(places, i)
	}
	answered, err := s.session.do(ctx, sent, nil)
	if err != nil {
		return nil, err
	}
	for i, r := range answered {
		replies[places[i]] = r
		if r.Err != nil && places[i] > 0 && resp.IsDenial(r.Err) {
			s.refused[places[i]] = true
		}
	}
	switch err := replies[0].Err; {
	case errors.Is(err, resp.ErrNil):
		return nil, fmt.Errorf("%w: %w", backlog.ErrUnavailable, s.panel.nothing)
	case err != nil:
		return nil, s.identify(ctx, err)
	}
	return replies, nil
}

// errRefusedBefore stands for the answer to a command that was refused before.
var errRefusedBefore = errors.New("the server has refused it before")

// identify returns err, with which a server has refused to say where the servers are, with
// what the server says it is.
func (s *scout) identify(ctx context.Context, err error) error {
	if !resp.IsDenial(err) || startsWith("NO", "WRONGPASS")(err) {
		return err
	}
	if s.panel.cfg.mode == modeSentinel {
		return fmt.Errorf("%w: %w: %w", backlog.ErrUnavailable, errNoSentinel, err)
	}
	replies, failed := s.session.do(ctx, []resp.Command{{Args: []any{"INFO", "server"}}}, nil)
	if failed == nil && resp.InfoField(resp.Text(replies[0].Value), "redis_mode") == "sentinel" {
		return fmt.Errorf("%w: %w: %w", backlog.ErrUnavailable, errIsSentinel, err)
	}
	return err
}

func (s *scout) close() {
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
}
