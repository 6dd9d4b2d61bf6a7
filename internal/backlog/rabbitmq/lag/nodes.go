package lag

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

const (
	// maxNodes bounds the nodes that are connected to.
	maxNodes = 64
	// nodeRest is the time before a node is connected to again that could not be.
	nodeRest = time.Second
	// balancedTries is how often an address is tried that leads to another node than the one that is
	// searched, as that of a load balancer may.
	balancedTries = 4
)

// nodes has one connection to each node that is read from, and opens them when they are needed.
type nodes struct {
	cfg *dialer.Config
	// configured are the addresses of the settings.
	configured []string
	// life ends with the source, and tasks are its goroutines.
	life  context.Context //nolint:containedctx // a connection outlives the read that opens it
	tasks *sync.WaitGroup

	// mu guards what follows.
	mu       sync.Mutex
	nodes    map[stream.Endpoint]*node
	attempts map[stream.Endpoint]*attempt
	// addresses are those that have led to a node.
	addresses map[stream.Endpoint]string
	// about is what a server said about itself last.
	about stream.About
	// opened is the number of connections so far.
	opened int
	closed bool
}

// A node is an open connection to a node.
type node struct {
	conn *stream.Conn
	// number tells the connections of a source apart.
	number int
	// used is when it was asked for last.
	used time.Time
}

// An attempt is to connect to a node. What it yields is valid once done is closed.
type attempt struct {
	done chan struct{}
	node *node
	err  error
	// over is until when there is no other attempt, after one that failed.
	over time.Time
}

func newNodes(life context.Context, cfg *dialer.Config, addresses []string, tasks *sync.WaitGroup) *nodes {
	return &nodes{
		cfg: cfg, configured: addresses, life: life, tasks: tasks, nodes: make(map[stream.Endpoint]*node),
		attempts: make(map[stream.Endpoint]*attempt), addresses: make(map[stream.Endpoint]string),
	}
}

// at returns the connection to the node that advertises an endpoint.
func (s *nodes) at(ctx context.Context, endpoint stream.Endpoint) (*node, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, fmt.Errorf("%w: the source is closed", backlog.ErrUnavailable)
	}
	if n := s.nodes[endpoint]; n != nil && n.conn.Alive() {
		n.used = time.Now()
		s.mu.Unlock()
		return n, nil
	}
	a := s.attempts[endpoint]
	if a == nil || a.over.Before(time.Now()) && !a.over.IsZero() {
		a = &attempt{done: make(chan struct{})}
		s.attempts[endpoint] = a
		s.tasks.Go(func() { s.try(a, endpoint) }) //nolint:contextcheck // a connection outlives the read that opens it
	}
	s.mu.Unlock()
	select {
	case <-a.done:
		return a.node, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: connecting takes longer: %w", backlog.ErrUnavailable, ctx.Err())
	}
}

// try searches the node with an endpoint: where it was found before, where it says that it is, and
// behind the addresses of the settings.
func (s *nodes) try(a *attempt, endpoint stream.Endpoint) {
	s.mu.Lock()
	known, old, total := s.addresses[endpoint], s.nodes[endpoint], len(s.nodes)
	s.mu.Unlock()
	if old != nil {
		old.conn.Close()
	} else if total >= maxNodes {
		s.end(a, endpoint, nil, fmt.Errorf("%w: the leaders of the streams are on more than %d nodes, want at most that many", backlog.ErrExhausted, maxNodes))
		return
	}
	failure := errOtherNode
	for _, address := range s.candidates(endpoint, known) {
		for range balancedTries {
			conn, err := open(s.life, s.cfg, address)
			if err != nil {
				if errors.Is(failure, errOtherNode) {
					failure = err
				}
				break
			}
			if conn.About().Endpoint == endpoint {
				s.adopt(a, endpoint, conn, address)
				return
			}
			conn.Close()
			if s.life.Err() != nil {
				break
			}
		}
	}
	advertised := backlog.Line(net.JoinHostPort(endpoint.Host, strconv.Itoa(int(endpoint.Port))))
	err := fmt.Errorf("%w: the node of the stream's leader, %s, is not reached: %w", backlog.ErrUnavailable, advertised, failure)
	if known == "" {
		err = backlog.WithAdvice(err, SettingAddresses+": an address of each node, or stream.advertised_host of the server: a name by which the scaler reaches the node")
	}
	s.end(a, endpoint, nil, err)
}

// errOtherNode is that each address leads to another node.
var errOtherNode = errors.New("each address leads to another node")

// candidates returns the addresses behind which a node may be.
func (s *nodes) candidates(endpoint stream.Endpoint, known string) []string {
	var all []string
	if known != "" {
		all = append(all, known)
	}
	if backlog.IsHost(endpoint.Host) && endpoint.Port > 0 && endpoint.Port <= 65535 {
		all = append(all, net.JoinHostPort(endpoint.Host, strconv.Itoa(int(endpoint.Port))))
	}
	for _, address := range s.configured {
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// adopt ends an attempt with a connection.
func (s *nodes) adopt(a *attempt, endpoint stream.Endpoint, conn *stream.Conn, address string) {
	s.mu.Lock()
	s.opened++
	n := &node{conn: conn, number: s.opened, used: time.Now()}
	closed := s.closed
	if !closed {
		s.nodes[endpoint], s.addresses[endpoint], s.about = n, address, conn.About()
	}
	s.mu.Unlock()
	if closed {
		conn.Close()
		s.end(a, endpoint, nil, fmt.Errorf("%w: the source is closed", backlog.ErrUnavailable))
		return
	}
	s.end(a, endpoint, n, nil)
}

// end ends an attempt.
func (s *nodes) end(a *attempt, endpoint stream.Endpoint, n *node, err error) {
	s.mu.Lock()
	a.node, a.err, a.over = n, err, time.Now().Add(nodeRest)
	if err == nil {
		delete(s.attempts, endpoint)
	}
	s.mu.Unlock()
	close(a.done)
}

// found notes where a node is.
func (s *nodes) found(about stream.About, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.addresses) < maxNodes {
		s.addresses[about.Endpoint] = address
	}
	s.about = about
}

// server returns what a server said about itself last.
func (s *nodes) server() stream.About {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.about
}

// sweep closes connections that are not used any more.
func (s *nodes) sweep(now time.Time) {
	var unused []*node
	s.mu.Lock()
	for endpoint, n := range s.nodes {
		if now.Sub(n.used) > forgetAfter {
			unused = append(unused, n)
			delete(s.nodes, endpoint)
		}
	}
	for endpoint, a := range s.attempts {
		if !a.over.IsZero() && now.Sub(a.over) > forgetAfter {
			delete(s.attempts, endpoint)
		}
	}
	s.mu.Unlock()
	for _, n := range unused {
		n.conn.Close()
	}
}

// close ends the connections. Attempts that are under way end with life.
func (s *nodes) close() {
	s.mu.Lock()
	s.closed = true
	nodes := s.nodes
	s.nodes = nil
	s.mu.Unlock()
	for _, n := range nodes {
		n.conn.Close()
	}
}

// open opens a connection to one address.
func open(ctx context.Context, cfg *dialer.Config, address string) (c *stream.Conn, err error) {
	defer backlog.Contain(&err)
	conn, err := dial(ctx, cfg, address)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s: %w", backlog.ErrUnavailable, address, err)
	}
	w := dialer.NewWire(conn)
	mechanism := stream.Plain
	if cfg.External {
		mechanism = stream.External
	}
	c, err = stream.Open(ctx, w, cfg.Handshake(), stream.Login{
		Mechanism: mechanism, Username: cfg.Username, Password: cfg.Password.Reveal(), VirtualHost: cfg.Vhost, Heartbeat: cfg.Heartbeat,
		Properties: map[string]string{"product": "backlog-scaler", "connection_name": cfg.Name},
	})
	if err != nil {
		return nil, loginFailure(w, err)
	}
	if version := c.About().Version; !dialer.AtLeast(version, 3, 11) {
		c.Close() //nolint:contextcheck // it has a bound of its own
		return nil, fmt.Errorf("%w: the server is RabbitMQ %s, want 3.11 or later for streams", backlog.ErrMismatch, backlog.Line(version))
	}
	return c, nil
}

// dial connects to an address, with TLS if the settings ask for it.
func dial(ctx context.Context, cfg *dialer.Config, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	conn, err := network.Dial(ctx, address, cfg.TLS)
	if cfg.TLS != nil && !network.IsDialFailure(err) && network.IsHangUp(err) { // as the port for streams without TLS does
		err = fmt.Errorf("negotiate TLS: %w", errNoTLS)
	}
	return conn, err
}
