package connlimit

import (
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// portWriteTimeout bounds one write to a client. A client that does not read for so long is
// disconnected, because the server buffers what it does not read.
const portWriteTimeout = 20 * time.Second

// A Port is a listener that limits its connections: in all, and to half of that from one
// address. A connection beyond a limit is closed at once, so that probes and KEDA, which
// come from other addresses than a flood, do not wait behind it.
type Port struct {
	net.Listener

	most       int
	rejections prometheus.Counter
	count      prometheus.Gauge

	// mu guards what follows. It is a leaf: nothing is locked, read or written while it is held.
	mu   sync.Mutex
	open map[*portConn]struct{}
	from map[string]int
	// over reports that no further connection is admitted.
	over bool
}

// NewPort returns a Port on top of a listener. rejections counts the connections that are
// closed at once, and count is the number of open ones.
func NewPort(listener net.Listener, most int, rejections prometheus.Counter, count prometheus.Gauge) *Port {
	return &Port{Listener: listener, most: most, rejections: rejections, count: count, open: map[*portConn]struct{}{}, from: map[string]int{}}
}

// Accept returns the next connection within the limits.
func (p *Port) Accept() (net.Conn, error) {
	for {
		conn, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := p.admit(conn); admitted != nil {
			return admitted, nil
		}
		p.rejections.Inc()
		// The connection is not used, so an error of Close changes nothing.
		_ = conn.Close()
	}
}

// admit returns the counted connection, or nil if a limit is reached.
func (p *Port) admit(conn net.Conn) *portConn {
	c := &portConn{Conn: conn, port: p, address: host(conn.RemoteAddr())}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || len(p.open) >= p.most || p.from[c.address] >= max(1, p.most/2) {
		return nil
	}
	p.open[c] = struct{}{}
	p.from[c.address]++
	p.count.Set(float64(len(p.open)))
	return c
}

// CloseConnections closes all connections, and those that come later. A server that stops
// waits for connections without a request, so it needs this to stop in time.
func (p *Port) CloseConnections() {
	p.mu.Lock()
	p.over = true
	open := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // its own server finds out, and reports it
	}
}

func (p *Port) release(c *portConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
	p.count.Set(float64(len(p.open)))
	p.from[c.address]--
	if p.from[c.address] == 0 {
		delete(p.from, c.address)
	}
}

// host returns an address without its port.
func host(address net.Addr) string {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	return host
}

// A portConn is a connection that its Port counts until it is closed.
type portConn struct {
	net.Conn

	port    *Port
	address string
	once    sync.Once
}

// Write writes within portWriteTimeout.
func (c *portConn) Write(data []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(portWriteTimeout)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return 0, err
	}
	return c.Conn.Write(data)
}

// Close closes the connection and ends its count.
func (c *portConn) Close() error {
	c.once.Do(func() { c.port.release(c) })
	return c.Conn.Close()
}
