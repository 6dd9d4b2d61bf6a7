package topology

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A client is the connection to one server that is asked where the servers are.
type client struct {
	set     *clientSet
	address string
	session *conn.Session
	// refused are the places of commands that the server does not allow; they are not sent
	// again on this connection.
	refused map[int]bool
}

// An answer is what a server answered to the commands of a clientSet.
type answer struct {
	from    string
	replies []resp.Reply
	// err is why the first command was not answered; the others may be refused.
	err error
}

// ask sends commands. All but the first are answered if the server allows it.
func (c *client) ask(ctx context.Context, commands [][]any) answer {
	replies, err := c.try(ctx, commands)
	if err != nil {
		err = c.set.cfg.Prober.Diagnose(ctx, c.address, c.set.cfg.TLS, err)
		err = fmt.Errorf("ask %s: %w", c.address, err)
		c.close()
	}
	return answer{from: c.address, replies: replies, err: err}
}

func (c *client) try(ctx context.Context, commands [][]any) (replies []resp.Reply, err error) {
	defer backlog.Contain(&err)
	cfg := c.set.cfg
	ctx, cancel := context.WithTimeout(ctx, min(cfg.AnswerTimeout, clientTimeout))
	defer cancel()
	if c.session == nil || c.session.Ended() {
		c.close()
		opened, err := conn.Open(ctx, cfg, c.set.login, 0, c.address, func() {})
		if err != nil {
			return nil, err
		}
		c.session, c.refused = opened, make(map[int]bool)
	}
	replies = make([]resp.Reply, len(commands))
	var sent []resp.Command
	var places []int
	for i, args := range commands {
		if c.refused[i] {
			replies[i].Err = errRefusedBefore
			continue
		}
		sent, places = append(sent, resp.Command{Args: args}), append(places, i)
	}
	answered, err := c.session.Do(ctx, sent, nil)
	if err != nil {
		return nil, err
	}
	for i, r := range answered {
		replies[places[i]] = r
		if r.Err != nil && places[i] > 0 && resp.IsDenial(r.Err) {
			c.refused[places[i]] = true
		}
	}
	switch err := replies[0].Err; {
	case errors.Is(err, resp.ErrNil):
		return nil, fmt.Errorf("%w: %w", backlog.ErrUnavailable, c.set.nothing)
	case err != nil:
		return nil, c.identify(ctx, err)
	}
	return replies, nil
}

// errRefusedBefore stands for the answer to a command that was refused before.
var errRefusedBefore = errors.New("the server has refused it before")

// identify returns err, with which a server has refused to say where the servers are, with
// what the server says it is.
func (c *client) identify(ctx context.Context, err error) error {
	text := resp.ServerText(err)
	if !resp.IsDenial(err) || strings.HasPrefix(text, "NO") || strings.HasPrefix(text, "WRONGPASS") {
		return err
	}
	if c.set.cfg.Mode == conn.ModeSentinel {
		return fmt.Errorf("%w: %w: %w", backlog.ErrUnavailable, conn.ErrNoSentinel, err)
	}
	replies, failed := c.session.Do(ctx, []resp.Command{{Args: []any{"INFO", "server"}}}, nil)
	if failed == nil && resp.InfoField(resp.Text(replies[0].Value), "redis_mode") == "sentinel" {
		return fmt.Errorf("%w: %w: %w", backlog.ErrUnavailable, conn.ErrIsSentinel, err)
	}
	return err
}

func (c *client) close() {
	if c.session != nil {
		c.session.Close()
		c.session = nil
	}
}
