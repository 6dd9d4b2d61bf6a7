package childprocess

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports that FreePorts chooses from, in blocks. All are below the range from which Linux
// (from 32768 on), macOS and Windows (from 49152 on) choose ports for outgoing connections: such a
// connection could take a port between the choice and the start of the server that is to listen
// there, and while the server is restarted. The ports 10000 above are left to the nodes of a
// Redis Cluster, which talk to each other there.
const (
	firstPort = 12000
	blockSize = 50
	blocks    = 200
)

// reserved are the ports of this process, which FreePorts hands out.
var reserved ports //nolint:gochecknoglobals // the ports of a machine belong to processes, so there is one for a process

// ports hands out ports, each once, from blocks that belong to this process alone. A process
// owns a block while it listens on the first port of it, so the block is free again when the process
// ends in any way.
type ports struct {
	mu     sync.Mutex
	guards []net.Listener // for the first port of each own block, until the process ends
	next   []int          // what is left of the own blocks
}

// FreePorts returns n different TCP ports on which no program listens at host. Until this process ends it
// does not return them again, nor does it in another process: a server that is stopped finds its port free
// when it starts again. The error is one of a host that is not of this machine, or of a machine on which
// other processes own all ports.
func FreePorts(host string, n int) ([]int, error) {
	reserved.mu.Lock()
	defer reserved.mu.Unlock()
	found := make([]int, 0, n)
	for len(found) < n {
		if len(reserved.next) == 0 {
			if err := reserved.take(); err != nil {
				return nil, fmt.Errorf("find a free port on %s: %w", host, err)
			}
		}
		port := reserved.next[0]
		reserved.next = reserved.next[1:]
		free, err := isFree(host, port)
		if err != nil {
			return nil, fmt.Errorf("find a free port on %s: %w", host, err)
		}
		if free {
			found = append(found, port)
		}
	}
	return found, nil
}

// take makes a block of ports that no process owns one of this process.
func (p *ports) take() error {
	var last error
	for _, block := range rand.Perm(blocks) { //nolint:gosec // any order will do
		first := firstPort + block*blockSize
		guard, err := listen("127.0.0.1", first)
		if err != nil {
			last = err
			continue
		}
		p.guards = append(p.guards, guard)
		for port := first + 1; port < first+blockSize; port++ {
			p.next = append(p.next, port)
		}
		return nil
	}
	return fmt.Errorf("no block of ports from %d to %d is free: %w", firstPort, firstPort+blocks*blockSize-1, last)
}

// isFree reports whether no program listens on the port at host. The error is one of the host.
func isFree(host string, port int) (bool, error) {
	l, err := listen(host, port)
	if err == nil {
		return true, l.Close()
	}
	other, err := listen(host, 0)
	if err != nil {
		return false, err
	}
	return false, other.Close()
}

func listen(host string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))) //nolint:noctx // binding a local port cannot block
}
