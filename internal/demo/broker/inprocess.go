package broker

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// info is the INFO of the server inside the process, which has none of its own. Its consumer
// groups have the shape of this version of Redis.
const info = "redis_version:7.4.4\r\nrun_id:in-process\r\nrole:master\r\n"

// startInProcess starts a server inside the process. missing is why there is no redis-server.
func startInProcess(missing error) (*Broker, error) {
	m, err := miniredis.Run()
	if err != nil {
		return nil, fmt.Errorf("start a server inside this process: %w", err)
	}
	m.Server().SetPreHook(func(peer *server.Peer, command string, _ ...string) bool {
		if command == "INFO" {
			peer.WriteBulk(info)
		}
		return command == "INFO"
	})
	return &Broker{Addr: m.Addr(), Name: "a server inside this process", Missing: missing.Error(), stop: m.Close}, nil
}
