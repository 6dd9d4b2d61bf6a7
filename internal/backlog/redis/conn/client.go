package conn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

var errDialled = errors.New("the connection is lost")

// newClient returns a client that has one connection in its life, c.
func newClient(cfg *Config, login Login, database int, address string, c net.Conn, onConnect func(context.Context, *redis.Conn) error) *redis.Client {
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
		Username:                 login.Username,
		Password:                 login.Password.Reveal(),
		DB:                       database,
		MaxRetries:               -1,
		DialerRetries:            1,
		PoolSize:                 1,
		PipelinePoolSize:         -1,
		ConnMaxIdleTime:          -1,
		ReadTimeout:              cfg.AnswerTimeout,
		WriteTimeout:             cfg.AnswerTimeout,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	client.AddHook(loginHook{})
	return client
}

// A loginHook changes what go-redis does on a new connection: HELLO is not sent, and a
// password that the server has no use for is no error.
//
// go-redis begins every connection with HELLO, which nothing here needs: RESP2 is what a
// connection speaks without it. Servers and proxies that do not know it answer in words
// of their own or end the connection. Without it go-redis sends AUTH, as it does for
// servers before Redis 6.0, then SELECT.
type loginHook struct{}

// noHelloError stands for the answer of a server that does not know HELLO.
type noHelloError struct{}

func (noHelloError) Error() string { return "ERR unknown command 'HELLO'" }

// RedisError makes it an error that a server answered.
func (noHelloError) RedisError() {}

// DialHook implements redis.Hook.
func (loginHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (loginHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements redis.Hook.
func (loginHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
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
// none. It lets every client in.
func isNeedless(err error) bool {
	return resp.IsServerError(err) &&
		(strings.Contains(err.Error(), "AUTH <password> called without any password configured") ||
			strings.Contains(err.Error(), "sent AUTH, but no password is set"))
}

// A clientLog writes what go-redis logs to a logger, at the level debug. What matters of it
// shows as an error of the command, and a server can provoke it at will.
type clientLog struct{ logger *slog.Logger }

// RouteClientLog makes go-redis log to logger, and not to stderr. The library has one logger
// for the whole process, and this is the one place that sets it. Sources of one process are
// opened with the same logger; of several the last one stays.
func RouteClientLog(logger *slog.Logger) { redis.SetLogger(clientLog{logger}) }

// Printf implements the logger of go-redis.
func (l clientLog) Printf(ctx context.Context, format string, args ...any) {
	if l.logger.Enabled(ctx, slog.LevelDebug) {
		l.logger.LogAttrs(ctx, slog.LevelDebug, "a library reports", slog.String("library", "go-redis"), slog.String("text", fmt.Sprintf(format, args...)))
	}
}
