package redis

import (
	"crypto/rand"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// newIdentity reads INFO server.
func newIdentity(info string) resp.Server {
	id, known := resp.ParseServer(info)
	if !known {
		return unknownIdentity()
	}
	if id.Epoch == "" {
		id.Epoch = rand.Text()
	}
	return id
}

// unknownIdentity is that of a server which does not answer INFO: nothing it says
// can be taken to continue what was said before.
func unknownIdentity() resp.Server { return resp.Server{Epoch: rand.Text(), Lag: resp.LagTooHigh} }
