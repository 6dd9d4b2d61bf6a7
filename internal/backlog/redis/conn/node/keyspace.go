package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// listenByKeyspace is notified of the keys that are read, by keyspace notifications. Reason is
// why tracking, which is better, was refused; "" if it was not tried.
func (n *Node) listenByKeyspace(ctx context.Context, reason string) error {
	flags, err := n.keyspaceFlags(ctx)
	if err != nil {
		return err
	}
	s := &subscriber{mode: conn.WakeKeyspace, flags: flags, prefix: fmt.Sprintf("__keyspace@%d__:", n.cfg.Database), channels: make(map[string]bool)}
	if err := n.subscribe(ctx, s); err != nil {
		return err
	}
	defer s.Close()
	// An answer to PING is a connection that is ready.
	if err := s.Ping(ctx); err != nil {
		return fmt.Errorf("listen for keyspace notifications: %w", err)
	}
	n.attach(s)
	defer n.detach()
	if err := n.joinSession(ctx, s); err != nil {
		return err
	}
	n.setMode(conn.WakeKeyspace, reason)
	if reason != "" {
		// Something better was refused.
		s.retryBetter = time.Now().Add(n.cfg.UnsupportedRetry)
	}
	return n.receive(ctx, s)
}

// keyspaceSetting is the setting of a server that selects the changes it notifies about.
const keyspaceSetting = "notify-keyspace-events"

// errNoFlags is a server that does not know keyspaceSetting.
var errNoFlags = errors.New("the server does not say whether they are on")

// keyspaceFlagsOf reads the reply to CONFIG GET, and spells the letter A out.
func keyspaceFlagsOf(r resp.Reply) (string, error) {
	list, err := r.List()
	if err != nil {
		return "", err
	}
	if len(list) < 2 {
		return "", errNoFlags
	}
	return strings.ReplaceAll(resp.Text(list[1]), "A", "g$lshztxed"), nil
}

// keyspaceFlags returns notify-keyspace-events with the letter A spelled out.
func (n *Node) keyspaceFlags(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.DialTimeout+n.cfg.AnswerTimeout)
	defer cancel()
	replies, err := n.Do(ctx, []resp.Command{{Args: []any{"CONFIG", "GET", keyspaceSetting}}}, nil)
	if err != nil {
		return "", err
	}
	flags, err := keyspaceFlagsOf(replies[0])
	switch {
	case errors.Is(err, errNoFlags):
		return "", unsupportedError{"keyspace notifications: " + err.Error()}
	case err != nil:
		return "", unsupported(fmt.Errorf("keyspace notifications: asking whether they are on: %w", err))
	case !strings.Contains(flags, "K"), !strings.Contains(flags, "g"), !strings.ContainsAny(flags, "lshzt"):
		// Without g the server is silent about RENAME, RESTORE, COPY and MOVE.
		return "", unsupportedError{fmt.Sprintf("keyspace notifications: notify-keyspace-events is %q, and K, g and the letters of the types are needed", flags)}
	}
	return flags, nil
}
