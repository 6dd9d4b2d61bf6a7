// Package backlogtest supports tests of queues: the conformance suite of all engines, a proxy
// that breaks connections, and an engine in memory.
package backlogtest

import (
	"cmp"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// A Proxy forwards TCP connections to a server and breaks them on demand. It is safe for
// concurrent use.
type Proxy struct {
	t     testing.TB
	addr  string
	tasks sync.WaitGroup

	// mu guards all below: the test changes it, the connections read it.
	mu       sync.Mutex
	target   string
	other    string       // the next target, if there are two
	listener net.Listener // nil while connections are refused
	links    map[*link]bool
	accepted int
	toServer gate
	toClient gate
	delay    time.Duration
	garbage  []byte
	halve    bool
	closed   bool
}

// A gate lets the bytes of one direction pass while it is open.
type gate struct {
	shut bool
	// opened is closed when a shut gate is opened again.
	opened chan struct{}
}

// A link is one connection through the proxy.
type link struct {
	client, server net.Conn
	done           chan struct{}
	once           sync.Once
	// number counts the connections; answers is the gate of this one alone.
	number  int
	answers gate
}

// NewProxy starts a proxy to target, a "host:port".
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, target: target, addr: FreeAddress(t), links: make(map[*link]bool)}
	if err := p.listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.addr }

// Cut ends all connections. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// Redirect makes connections that are new lead to target. Those that are open stay, as
// they do behind a balancer.
func (p *Proxy) Redirect(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Alternate makes connections that are new lead to target and to the present one by turns.
func (p *Proxy) Alternate(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.other = target
}

// CutOne ends one connection, the one that is the nth oldest of those that are open, from
// 0 on.
func (p *Proxy) CutOne(n int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nth(n).close()
}

// Refuse ends all connections and refuses new ones, until Restore.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	listener := p.listener
	p.listener = nil
	p.mu.Unlock()
	if listener != nil {
		_ = listener.Close()
	}
	p.Cut()
}

// BlackHole lets nothing pass in either direction, until Restore. Connections stay
// open, and new ones are accepted.
func (p *Proxy) BlackHole() { p.shut(true, true) }

// HalfOpen lets what clients send pass, but no answers, until Restore.
func (p *Proxy) HalfOpen() { p.shut(false, true) }

// Mute holds back the answers on one connection, the one that is the nth oldest of those
// that are open, from 0 on, until Restore.
func (p *Proxy) Mute(n int) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nth(n).answers.set(true)
}

// nth returns the nth oldest connection of those that are open. mu is held.
func (p *Proxy) nth(n int) *link {
	p.t.Helper()
	links := slices.SortedFunc(maps.Keys(p.links), func(a, b *link) int { return cmp.Compare(a.number, b.number) })
	if n >= len(links) {
		p.t.Fatalf("there are %d connections, and number %d is wanted", len(links), n)
	}
	return links[n]
}

// Delay makes everything take d longer in each direction.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Garble sends garbage to clients, again and again, in place of what the server sends.
func (p *Proxy) Garble(garbage []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.garbage = garbage
}

// Halve ends each connection after half of the first piece that the server sends from now on, until Restore.
func (p *Proxy) Halve() { p.setHalve(true) }

func (p *Proxy) setHalve(halve bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halve = halve
}

// Restore undoes Refuse, BlackHole, HalfOpen, Mute, Delay, Garble and Halve. What was held back passes.
func (p *Proxy) Restore() {
	p.t.Helper()
	p.shut(false, false)
	p.Delay(0)
	p.Garble(nil)
	p.setHalve(false)
	p.mu.Lock()
	refuses := p.listener == nil && !p.closed
	p.mu.Unlock()
	if !refuses {
		return
	}
	if err := p.listen(); err != nil {
		p.t.Fatal(err)
	}
}

// Connections is the number of open connections.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

func (p *Proxy) shut(toServer, toClient bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toServer.set(toServer)
	p.toClient.set(toClient)
	for l := range p.links {
		l.answers.set(false)
	}
}

func (g *gate) set(shut bool) {
	switch {
	case shut && !g.shut:
		g.opened = make(chan struct{})
	case !shut && g.shut:
		close(g.opened)
	}
	g.shut = shut
}

func (p *Proxy) listen() error {
	listener, err := net.Listen("tcp", p.addr) //nolint:noctx // lives as long as the test
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	p.tasks.Go(func() { p.accept(listener) })
	return nil
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		if p.other != "" {
			p.target, p.other = p.other, p.target
		}
		p.mu.Unlock()
		server, err := net.Dial("tcp", target) //nolint:noctx // ends with the listener
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server, done: make(chan struct{})}
		p.mu.Lock()
		refused := p.closed || p.listener != listener
		if !refused {
			p.links[l] = true
			p.accepted++
			l.number = p.accepted
		}
		p.mu.Unlock()
		if refused {
			l.close()
			continue
		}
		p.tasks.Go(func() { p.carry(l, server, client, &p.toServer) })
		p.tasks.Go(func() {
			p.carry(l, client, server, &p.toClient, &l.answers)
			p.mu.Lock()
			delete(p.links, l)
			p.mu.Unlock()
		})
	}
}

// carry copies from one end of a link to the other until it ends.
func (p *Proxy) carry(l *link, to io.Writer, from io.Reader, gates ...*gate) {
	defer l.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.pass(l, gates) {
				return
			}
			if p.write(l, to, buffer[:n]) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// errHalved ends a link after half of a piece.
var errHalved = errors.New("the connection is cut in the middle")

// write sends what was received; to a client also garbage or a half of it.
func (p *Proxy) write(l *link, to io.Writer, received []byte) error {
	p.mu.Lock()
	garbage, halve := p.garbage, p.halve
	p.mu.Unlock()
	switch {
	case halve && to == l.client:
		_, err := to.Write(received[:len(received)/2])
		return errors.Join(err, errHalved)
	case garbage == nil || to != l.client:
		_, err := to.Write(received)
		return err
	}
	for range garbageTimes {
		if _, err := to.Write(garbage); err != nil {
			return err
		}
	}
	return nil
}

// garbageTimes is how often garbage is sent for each piece that the server sends.
const garbageTimes = 1000

// pass waits for the delay and the gates. It is false if the link has ended meanwhile.
func (p *Proxy) pass(l *link, gates []*gate) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.done:
			return false
		}
	}
	for _, g := range gates {
		for opened := p.shutUntil(g); opened != nil; opened = p.shutUntil(g) {
			select {
			case <-opened:
			case <-l.done:
				return false
			}
		}
	}
	return true
}

// shutUntil returns what is closed when a gate opens, nil if it is open.
func (p *Proxy) shutUntil(g *gate) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !g.shut {
		return nil
	}
	return g.opened
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		_ = errors.Join(l.client.Close(), l.server.Close())
	})
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Refuse()
	p.tasks.Wait()
}
