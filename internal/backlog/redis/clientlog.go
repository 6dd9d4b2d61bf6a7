package redis

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// A clientLog writes what go-redis says of itself to the log, at the level debug: what
// matters of it shows as an error of the command, and a server can provoke it at will.
type clientLog struct{ logger *slog.Logger }

// routeClientLog makes go-redis say what it says to the log, and not to stderr. The library
// has one logger for the whole process, so this is the one place that sets it. Sources of
// one process are opened with the same logger; of several the last one stays.
func routeClientLog(logger *slog.Logger) { redis.SetLogger(clientLog{logger}) }

// Printf implements the logger of go-redis.
func (l clientLog) Printf(ctx context.Context, format string, args ...any) {
	if l.logger.Enabled(ctx, slog.LevelDebug) {
		l.logger.LogAttrs(ctx, slog.LevelDebug, "a library reports", slog.String("library", "go-redis"), slog.String("text", fmt.Sprintf(format, args...)))
	}
}
