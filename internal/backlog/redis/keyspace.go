package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// hearKeyspace listens for keyspace notifications of the keys that are read.
func (n *node) hearKeyspace(ctx context.Context, reason string) error {
	flags, err := n.keyspaceFlags(ctx)
	if err != nil {
		return err
	}
	e := &ear{mode: wakeKeyspace, flags: flags, prefix: fmt.Sprintf("__keyspace@%d__:", n.cfg.database), channels: make(map[string]bool)}
	closeEar, err := n.connect(ctx, e)
	if err != nil {
		return err
	}
	defer closeEar()
	// An answer to PING is a connection that is ready.
	if err := e.pubsub.Ping(ctx); err != nil {
		return fmt.Errorf("listen for keyspace notifications: %w", err)
	}
	n.setEar(e)
	defer n.goDeaf()
	if err := n.joinSession(ctx, e); err != nil {
		return err
	}
	n.setMode(wakeKeyspace, reason)
	if reason != "" {
		// Something better was refused.
		e.again = time.Now().Add(n.cfg.refusedRetry)
	}
	return n.hear(ctx, e)
}

// keyspaceSetting is the setting of a server that says of which changes it notifies.
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
func (n *node) keyspaceFlags(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.dialTimeout+n.cfg.answerTimeout)
	defer cancel()
	replies, err := n.do(ctx, []resp.Command{{Args: []any{"CONFIG", "GET", keyspaceSetting}}}, nil)
	if err != nil {
		return "", err
	}
	flags, err := keyspaceFlagsOf(replies[0])
	switch {
	case errors.Is(err, errNoFlags):
		return "", refusal{"keyspace notifications: " + err.Error()}
	case err != nil:
		return "", refusedOr(err, "keyspace notifications: asking whether they are on")
	case !strings.Contains(flags, "K"), !strings.Contains(flags, "g"), !strings.ContainsAny(flags, "lshzt"):
		// Without g the server is silent about RENAME, RESTORE, COPY and MOVE.
		return "", refusal{fmt.Sprintf("keyspace notifications: notify-keyspace-events is %q, and K, g and the letters of the types are needed", flags)}
	}
	return flags, nil
}
