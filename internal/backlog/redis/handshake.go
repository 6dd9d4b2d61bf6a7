package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A handshake is what go-redis does on a new connection, changed by hooks: HELLO is not
// sent, and a password that the server has no use for is no error.
//
// go-redis begins every connection with HELLO, which nothing here needs: RESP2 is what a
// connection speaks without it. Servers and proxies that do not know it answer in words
// of their own or end the connection. Without it go-redis sends AUTH, as it does for
// servers before Redis 6.0, then SELECT.
type handshake struct{}

// noHelloError stands for the answer of a server that does not know HELLO.
type noHelloError struct{}

func (noHelloError) Error() string { return "ERR unknown command 'HELLO'" }

// RedisError makes it an error that a server answered.
func (noHelloError) RedisError() {}

// DialHook implements redis.Hook.
func (handshake) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (handshake) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (handshake) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hello" {
			cmd.SetErr(noHelloError{})
			return cmd.Err()
		}
		err := next(ctx, cmd)
		if cmd.Name() == "auth" && isNeedless(err) {
			cmd.SetErr(nil)
			return nil
		}
		return err
	}
}

// isNeedless reports whether a server has refused a password because its default user has
// none. It lets everybody in.
func isNeedless(err error) bool {
	return resp.IsServerError(err) &&
		(strings.Contains(err.Error(), "AUTH <password> called without any password configured") ||
			strings.Contains(err.Error(), "sent AUTH, but no password is set"))
}

// greet names the connection and finds out who is at the other end. What the server says
// of itself is a courtesy: one that refuses to say it is read all the same. A server that
// is known to be a replica where a master is wanted, or a replica without its data, is
// unavailable, because its counts would be too small.
func (s *session) greet(ctx context.Context, cfg *config, m manners) error {
	s.conn.begin()
	defer s.conn.end()
	pipe := s.client.Pipeline()
	server := pipe.Do(ctx, "INFO", "server")
	replication := pipe.Do(ctx, "INFO", "replication")
	statistics := pipe.Do(ctx, "INFO", "commandstats")
	if m == polite {
		pipe.Do(ctx, "CLIENT", "SETNAME", cfg.clientName)
	}
	if err := exec(ctx, pipe); err != nil {
		return err
	}
	for _, err := range []error{server.Err(), replication.Err()} {
		if err != nil && isFatal(err) {
			return err
		}
	}
	// Every connection may have met another life of the data.
	s.server = new(unknownIdentity())
	if info := resp.Text(server.Val()); server.Err() == nil && info != "" {
		s.server = new(newIdentity(info))
		if err := s.checkMode(ctx, cfg, resp.InfoField(info, "redis_mode")); err != nil {
			return err
		}
	}
	s.checked, s.unanswered = time.Now(), 0
	for bit, answer := range map[uint8]*redis.Cmd{askServer: server, askRole: replication, askSwaps: statistics} {
		if answer.Err() != nil {
			s.unanswered |= bit
		}
	}
	s.swaps = swapsOf(resp.Text(statistics.Val()))
	return checkRole(resp.Text(replication.Val()), cfg.mode != modeStandalone)
}

// isFatal reports whether a server's refusal of a courtesy means that reads would fail,
// or be wrong, as well.
func isFatal(err error) bool {
	return !resp.IsServerError(err) || resp.IsTransient(err) || resp.HasCode(err, "NOAUTH") || resp.HasCode(err, "WRONGPASS") || resp.HasCode(err, "DENIED")
}

// checkMode reports a server that is not what the mode of the connection says.
func (s *session) checkMode(ctx context.Context, cfg *config, mode string) error {
	switch {
	case mode == "sentinel":
		return fmt.Errorf("%w: %w", backlog.ErrUnavailable, errIsSentinel)
	case mode == "cluster" && cfg.mode == modeStandalone:
		// A cluster of one server is the whole; of several, this is a part.
		info, err := s.client.Do(ctx, "CLUSTER", "INFO").Text()
		switch size := resp.InfoField(info, "cluster_size"); {
		case resp.IsServerError(err):
			return fmt.Errorf("%w: %w, and refuses to say of how many masters: %w", backlog.ErrUnavailable, errIsClusterNode, err)
		case err != nil:
			return err
		case size != "" && size != "0" && size != "1":
			return fmt.Errorf("%w: %w of %s masters", backlog.ErrUnavailable, errIsClusterNode, size)
		}
	}
	return nil
}

// isHangUp reports whether err is a connection that the other end has closed.
func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
