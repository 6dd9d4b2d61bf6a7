// Package jetstreamtest starts real NATS servers with JetStream for tests and benchmarks: alone or in a
// cluster, in this process or in processes of their own, which can be frozen and killed. Every server
// listens on loopback ports of its own and keeps its data in a folder of its own.
package jetstreamtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// patience bounds the wait for a server. It is long because it passes only where something is wrong.
const patience = time.Minute

const host = "127.0.0.1"

// portsEach is the number of ports of a server: for clients, for the other servers and for monitoring.
const portsEach = 3

// childVariable names the configuration of a server that runs as a process of its own.
const childVariable = "JETSTREAMTEST_CONFIGURATION"

// A Cluster is a number of servers; one is no cluster in the words of NATS.
type Cluster struct {
	Nodes []*Node

	dir      string
	children bool
	domain   string
	extra    string
}

// A Node is one server. Its ports and its data stay the same when it is started again.
type Node struct {
	processtest.Freezer

	Name string
	// Address is that for clients, and Monitor that of the monitoring over HTTP.
	Address, Monitor string

	route, dir, configuration string
	// settings is the configuration without what Configured adds.
	settings string
	child    bool
	// others is how many other servers there are.
	others int

	// mu guards what runs.
	mu      sync.Mutex
	server  *server.Server
	process *childprocess.Process
	output  *childprocess.Output
}

// An Option changes how servers are started.
type Option func(*Cluster)

// Configured adds a text to the configuration of each server:
// https://docs.nats.io/running-a-nats-service/configuration.
func Configured(text string) Option { return func(c *Cluster) { c.extra += text + "\n" } }

// Domain sets the domain of JetStream.
func Domain(name string) Option { return func(c *Cluster) { c.domain = name } }

// Children runs each server as a process of its own. The program has to call ServeChild first of all.
func Children() Option { return func(c *Cluster) { c.children = true } }

// ServeChild runs a server until it ends, if this process was started for that. The program exits with
// the code then. It returns false at once otherwise.
func ServeChild() (code int, served bool) {
	configuration := os.Getenv(childVariable)
	if configuration == "" {
		return 0, false
	}
	s, err := newServer(configuration)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	s.Start()
	s.WaitForShutdown()
	return 0, true
}

// newServer returns a server that is not started.
func newServer(configuration string) (*server.Server, error) {
	options, err := server.ProcessConfigFile(configuration)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of a server: %w", err)
	}
	options.NoSigs, options.NoLog = true, true
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("make a server: %w", err)
	}
	return s, nil
}

// Start is Launch for one test.
func Start(t testing.TB, n int, options ...Option) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	c, err := Launch(t.Context(), n, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Launch starts n servers and waits until they serve JetStream. The caller closes them.
func Launch(ctx context.Context, n int, options ...Option) (c *Cluster, err error) {
	dir, err := os.MkdirTemp("", "jetstreamtest")
	if err != nil {
		return nil, fmt.Errorf("create the folder of NATS: %w", err)
	}
	c = &Cluster{dir: dir}
	for _, option := range options {
		option(c)
	}
	// Another process may take a port between the choice and the start.
	for attempt := range 3 {
		if err = c.launch(ctx, filepath.Join(dir, strconv.Itoa(attempt)), n); err == nil {
			return c, nil
		}
		c.stop()
	}
	c.Close()
	return nil, fmt.Errorf("start NATS: %w", err)
}

func (c *Cluster) launch(ctx context.Context, dir string, n int) error {
	ports, err := childprocess.FreePorts(host, portsEach*n)
	if err != nil {
		return err
	}
	c.Nodes = nil
	var routes []string
	for i := range n {
		routes = append(routes, "nats://"+address(ports[portsEach*i+1]))
	}
	for i := range n {
		p := ports[portsEach*i:]
		node := &Node{
			Name: "n" + strconv.Itoa(i+1), Address: address(p[0]), route: address(p[1]), Monitor: address(p[2]),
			dir: filepath.Join(dir, strconv.Itoa(i+1)), child: c.children, output: new(childprocess.Output),
		}
		node.Freezer = processtest.NewFreezer(node.Signal)
		if err := node.configure(routes, c.domain, c.extra); err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, node)
	}
	for _, node := range c.Nodes {
		if err := node.Relaunch(); err != nil {
			return err
		}
	}
	return c.Await(ctx)
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// Addresses are those of all servers, for clients.
func (c *Cluster) Addresses() []string {
	var all []string
	for _, n := range c.Nodes {
		all = append(all, n.Address)
	}
	return all
}

// Close ends all servers and removes their data. It is idempotent.
func (c *Cluster) Close() {
	c.stop()
	_ = os.RemoveAll(c.dir) // a folder of the system's own for temporary files
}

func (c *Cluster) stop() {
	for _, n := range c.Nodes {
		n.Kill()
	}
}

// Await waits until all servers serve clients, and until those of a cluster have a leader.
func (c *Cluster) Await(ctx context.Context) error {
	return childprocess.Poll(ctx, "NATS to serve", patience, 5*time.Millisecond, func(ctx context.Context) error {
		leaders := 0
		for _, n := range c.Nodes {
			leads, err := n.serves(ctx)
			if err != nil {
				return err
			}
			if leads {
				leaders++
			}
		}
		if len(c.Nodes) > 1 && leaders == 0 {
			return errors.New("there is no leader")
		}
		return nil
	})
}

// serves reports, as an error, that a server does not serve yet, and whether it leads its cluster. Of a
// server in a process of its own that is what its monitoring says.
func (n *Node) serves(ctx context.Context) (leads bool, err error) {
	n.mu.Lock()
	s := n.server
	n.mu.Unlock()
	if s == nil {
		return n.monitored(ctx)
	}
	switch {
	case !s.ReadyForConnections(time.Millisecond):
		return false, fmt.Errorf("%s accepts no connections", n.Name)
	case s.JetStreamIsClustered() && !s.JetStreamIsCurrent():
		return false, fmt.Errorf("%s is behind", n.Name)
	}
	return s.JetStreamIsLeader(), nil
}

// Relaunch starts the server, with its data. It does not wait until it serves.
func (n *Node) Relaunch() (err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.child {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the program of this process: %w", err)
		}
		n.process, err = childprocess.Start(childprocess.Command{
			Name: "nats-" + n.Name, Path: self, Env: []string{childVariable + "=" + n.configuration}, Dir: n.dir, Stdout: n.output, Stderr: n.output,
		})
		return err
	}
	if n.server, err = newServer(n.configuration); err != nil {
		return err
	}
	n.server.Start()
	return nil
}

// Reconfigure replaces the text that Configured has added. A server uses it from its next start on.
func (n *Node) Reconfigure(t testing.TB, text string) {
	t.Helper()
	if err := n.write(text + "\n"); err != nil {
		t.Fatal(err)
	}
}

// Empty removes the data of a server that has ended.
func (n *Node) Empty(t testing.TB) {
	t.Helper()
	if err := os.RemoveAll(n.data()); err != nil {
		t.Fatal(err)
	}
}

// Restart is Relaunch for one test.
func (n *Node) Restart(t testing.TB) {
	t.Helper()
	if err := n.Relaunch(); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server; one in a process of its own at once, as a crash would. It is idempotent.
func (n *Node) Kill() {
	n.mu.Lock()
	s, p := n.server, n.process
	n.server, n.process = nil, nil
	n.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
	if p != nil {
		p.Kill()
	}
}

// Signal sends a signal to the process of the server: SIGSTOP and SIGCONT are Freeze and Thaw.
func (n *Node) Signal(s syscall.Signal) error {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	if p == nil {
		return fmt.Errorf("signal %s: it has no process of its own", n.Name)
	}
	return p.Signal(s)
}

// Connections returns how many clients are connected to a server in this process.
func (n *Node) Connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server == nil {
		return 0
	}
	return n.server.NumClients()
}

// Subscriptions returns how many subscriptions the clients and the server itself have.
func (n *Node) Subscriptions() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server == nil {
		return 0
	}
	return int(n.server.NumSubscriptions())
}

// Output returns what a process of its own has printed.
func (n *Node) Output() string { return strings.TrimSpace(n.output.String()) }
