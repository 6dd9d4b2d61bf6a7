package childprocess

import (
	"fmt"
	"net"
)

// FreePorts returns n different TCP ports that are free at host.
func FreePorts(host string, n int) ([]int, error) {
	ports := make([]int, 0, n)
	held := make([]net.Listener, 0, n) // until all are found, so that all differ
	defer func() {
		for _, l := range held {
			_ = l.Close() // nothing was received or sent
		}
	}()
	for range n {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0")) //nolint:noctx // binding a local port cannot block
		if err != nil {
			return nil, fmt.Errorf("find a free port on %s: %w", host, err)
		}
		held = append(held, l)
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("find a free port on %s: unexpected address %v", host, l.Addr())
		}
		ports = append(ports, addr.Port)
	}
	return ports, nil
}
