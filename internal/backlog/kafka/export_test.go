package kafka

import (
	"context"
	"log/slog"
	"net"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// EngineThrough is Engine for a cluster of one broker behind a proxy: it dials the address of the
// settings whatever the broker calls itself.
func EngineThrough() backlog.Engine {
	e := Engine()
	e.Open = func(ctx context.Context, c backlog.Connection, log *slog.Logger) (backlog.Source, error) {
		address := c.Settings.List("addresses")[0]
		return openWith(ctx, c, log, func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		})
	}
	return e
}
