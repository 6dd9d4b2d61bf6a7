package node

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A handshakeMode is how much a server is asked when a connection begins.
type handshakeMode uint8

const (
	// fullHandshake names the connection, and asks the server what it is.
	fullHandshake handshakeMode = iota
	// namelessHandshake does not name the connection.
	namelessHandshake
	// minimalHandshake asks nothing either.
	minimalHandshake
)

func (n *Node) handshakeMode() handshakeMode {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.handshake
}

func (n *Node) setHandshakeMode(m handshakeMode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handshake = m
}

// greet names the connection and finds out which server is at the other end. A server that
// refuses to say it is read without that. One that is known to be a replica where a master is
// wanted, or a replica without its data, is unavailable, because its counts would be too small.
func (s *session) greet(ctx context.Context, cfg *conn.Config, m handshakeMode) error {
	commands := []resp.Command{
		{Args: []any{"INFO", "server"}},
		{Args: []any{"INFO", "replication"}},
		{Args: []any{"INFO", "commandstats"}},
	}
	if m == fullHandshake {
		commands = append(commands, resp.Command{Args: []any{"CLIENT", "SETNAME", cfg.ClientName}})
	}
	replies, err := s.Do(ctx, commands, nil)
	if err != nil {
		return err
	}
	server, replication, statistics := replies[0], replies[1], replies[2]
	for _, err := range []error{server.Err, replication.Err} {
		if err != nil && isFatal(err) {
			return err
		}
	}
	// Every connection may have met another life of the data.
	s.Server = new(conn.UnknownServer())
	if info := resp.Text(server.Value); server.Err == nil && info != "" {
		s.Server = new(conn.Identify(info))
		if err := s.checkMode(ctx, cfg, resp.InfoField(info, "redis_mode")); err != nil {
			return err
		}
	}
	s.checked, s.unanswered = time.Now(), 0
	for bit, answer := range map[uint16]resp.Reply{checkServer: server, checkReplication: replication, checkSwaps: statistics} {
		if answer.Err != nil {
			s.unanswered |= bit
		}
	}
	s.swaps = swapsOf(resp.Text(statistics.Value))
	return checkRole(resp.Text(replication.Value), cfg.Mode != conn.ModeStandalone)
}

// isFatal reports whether a server's refusal in a handshake means that reads would fail, or
// be wrong, as well.
func isFatal(err error) bool {
	return !resp.IsServerError(err) || resp.IsTransient(err) ||
		resp.HasCode(err, "NOAUTH") || resp.HasCode(err, "WRONGPASS") || resp.HasCode(err, "DENIED")
}

// checkMode reports a server that is not what the mode of the connection says.
func (s *session) checkMode(ctx context.Context, cfg *conn.Config, mode string) error {
	switch {
	case mode == "sentinel":
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, conn.ErrIsSentinel)
	case mode == "cluster" && cfg.Mode == conn.ModeStandalone:
		// A cluster of one server is the whole; of several, this is a part.
		info, err := s.do(ctx, "CLUSTER", "INFO")
		switch size := resp.InfoField(resp.Text(info.Value), "cluster_size"); {
		case resp.IsServerError(err):
			return fmt.Errorf("%w: %w, and refuses to say of how many masters: %w", backlog.ErrUnavailable, conn.ErrIsClusterNode, err)
		case err != nil:
			return err
		case size != "" && size != "0" && size != "1":
			return fmt.Errorf("%w: %w of %s masters", backlog.ErrUnavailable, conn.ErrIsClusterNode, size)
		}
	}
	return nil
}

// silentMaster is how long a replica may have received nothing from its master before its
// data counts as lost. A master sends a ping every 10 s (repl-ping-replica-period), so two
// are missing by then. Redis itself waits for repl-timeout, which is 60 s, before it
// reports the link as down.
const silentMaster = 20 * time.Second

// checkRole looks at INFO replication. A text without a role says nothing.
func checkRole(info string, wantMaster bool) error {
	role := resp.InfoField(info, "role")
	if role == "master" || role == "" {
		return nil
	}
	if wantMaster {
		return fmt.Errorf("%w: the server is a replica where the master is wanted", backlog.ErrUnavailable)
	}
	// Both are also so while a replica receives or loads the data of its master.
	if resp.InfoField(info, "master_link_status") == "down" || resp.InfoField(info, "master_sync_in_progress") == "1" {
		return fmt.Errorf("%w: the server is a replica that has lost its master", backlog.ErrUnavailable)
	}
	silent, err := strconv.ParseInt(resp.InfoField(info, "master_last_io_seconds_ago"), 10, 64)
	if err == nil && time.Duration(silent)*time.Second > silentMaster {
		return fmt.Errorf("%w: the server is a replica that has heard nothing from its master for %d s", backlog.ErrUnavailable, silent)
	}
	return nil
}
