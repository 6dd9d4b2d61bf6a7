package conn

import (
	"crypto/rand"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Identify returns the server that gave an answer to INFO server. A server that does not name
// its run gets an epoch that no other one has.
func Identify(info string) resp.Server {
	server, known := resp.ParseServer(info)
	if !known {
		return UnknownServer()
	}
	if server.Epoch == "" {
		server.Epoch = rand.Text()
	}
	return server
}

// UnknownServer returns a server that does not answer INFO. Its epoch differs from every
// other one, because its data cannot be known to continue what was read before.
func UnknownServer() resp.Server {
	return resp.Server{Epoch: rand.Text(), Lag: resp.LagTooHigh}
}
