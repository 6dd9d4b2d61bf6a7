// Package kafkatest starts real Apache Kafka brokers for tests and benchmarks, in KRaft mode. Every broker
// listens on loopback ports of its own and keeps its data in a folder of its own.
package kafkatest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// patience bounds the wait for a broker to start and to answer. It is long because it passes only
// where something is wrong.
const patience = 3 * time.Minute

const host = "127.0.0.1"

// portsEach is the number of ports of a broker.
const portsEach = 5

// The users of the listeners SASL and TLS, each with Password.
const (
	// User logs in by SCRAM and PLAIN.
	User     = "scaler"
	Password = "secret"
)

// A Version is a release of Kafka that hack/install-servers.sh installs.
type Version string

// The versions.
const (
	V44 Version = "4.4"
	V39 Version = "3.9"
)

// A Cluster is a number of brokers that are controllers, too.
type Cluster struct {
	Version Version
	Brokers []*Broker
	// Certificates are those of the TLS listeners.
	Certificates *tlstest.Certificates

	dir string
	// proxies are the addresses of the brokers' proxies; those that have none are left out.
	proxies []string
	// proxiedLogin makes their listeners demand a login.
	proxiedLogin bool
	// heap is the largest heap of a broker, in megabytes.
	heap int
}

// defaultHeap is enough for tests, and a thousand topics need more.
const defaultHeap = 256

// Heap sets the largest heap of a broker, in megabytes.
func Heap(megabytes int) Option { return func(c *Cluster) { c.heap = megabytes } }

// An Option changes how a cluster is started.
type Option func(*Cluster)

// BehindProxies names the address of a proxy for each broker. Clients that come by way of a proxy find the
// brokers there, and the proxies forward to ProxiedAddrs.
func BehindProxies(addresses ...string) Option {
	return func(c *Cluster) { c.proxies = addresses }
}

// ProxiedLogin makes the listeners behind proxies demand a login by SCRAM-SHA-256.
func ProxiedLogin() Option { return func(c *Cluster) { c.proxiedLogin = true } }

// A Broker is one process. Its ports stay the same when it is restarted.
type Broker struct {
	processtest.Freezer

	ID int32
	// plain, sasl and tls are addresses of listeners: without a login, with SASL, and with TLS that
	// asks for a client certificate.
	plain, sasl, tls string
	// proxied is a listener, without a login unless that is wanted, whose clients connect by way of a proxy, at advertised.
	proxied, advertised string

	dir, installed string
	heap           int
	process        *childprocess.Process
	output         *childprocess.Output
}

// Start is Launch for one test. In a short run it skips the test, and also where the version is not
// installed, except in CI.
func Start(t testing.TB, v Version, n int, options ...Option) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	c, err := Launch(t.Context(), v, n, options...)
	switch {
	case err == nil:
		t.Cleanup(c.Close)
		return c
	case errors.Is(err, os.ErrNotExist) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return nil
}

// Launch starts a cluster of n brokers and waits until it stores the offsets of groups: an open port
// is not enough. The caller closes it. The error is one of os.ErrNotExist where the version is not
// installed.
func Launch(ctx context.Context, v Version, n int, options ...Option) (started *Cluster, err error) {
	installed := folder(v)
	if _, err := os.Stat(filepath.Join(installed, "installed")); err != nil {
		return nil, fmt.Errorf("find Kafka %s: %w; install it with hack/install-servers.sh", v, err)
	}
	dir, err := os.MkdirTemp("", "kafkatest")
	if err != nil {
		return nil, fmt.Errorf("create the folder of Kafka: %w", err)
	}
	c := &Cluster{Version: v, dir: dir, heap: defaultHeap}
	for _, option := range options {
		option(c)
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.Certificates, err = tlstest.Make(dir, User); err != nil {
		return nil, err
	}
	// Another process may take a port between the choice and the start.
	for attempt := range 3 {
		if err = c.launch(ctx, filepath.Join(dir, strconv.Itoa(attempt)), installed, n); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("start Kafka %s: %w", v, err)
}

// launch starts all brokers.
func (c *Cluster) launch(ctx context.Context, dir, installed string, n int) error {
	ports, err := childprocess.FreePorts(host, portsEach*n)
	if err != nil {
		return err
	}
	c.Brokers = nil
	var voters []string
	for i := range n {
		voters = append(voters, fmt.Sprintf("%d@%s:%d", i+1, host, ports[portsEach*i]))
	}
	for i := range n {
		p := ports[portsEach*i:][:portsEach]
		b := &Broker{
			ID: int32(i + 1), plain: address(p[1]), sasl: address(p[2]), tls: address(p[3]), proxied: address(p[4]),
			dir: filepath.Join(dir, strconv.Itoa(i+1)), installed: installed, heap: c.heap,
		}
		b.Freezer = processtest.NewFreezer(b.Signal)
		b.advertised = b.proxied
		if i < len(c.proxies) {
			b.advertised = c.proxies[i]
		}
		if err := b.configure(c, p[0], strings.Join(voters, ","), n); err != nil {
			return err
		}
		c.Brokers = append(c.Brokers, b)
	}
	errs := make([]error, n)
	var formats sync.WaitGroup
	for i, b := range c.Brokers {
		formats.Go(func() { errs[i] = b.format() })
	}
	formats.Wait()
	for i, b := range c.Brokers {
		if errs[i] == nil {
			errs[i] = b.start()
		}
		if errs[i] != nil {
			c.kill()
			return errs[i]
		}
	}
	if err := c.await(ctx); err != nil {
		c.kill()
		return err
	}
	return nil
}

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// Close ends all brokers and removes their data. It is idempotent.
func (c *Cluster) Close() {
	c.kill()
	_ = os.RemoveAll(c.dir) // a folder of the system's own for temporary files
}

func (c *Cluster) kill() {
	for _, b := range c.Brokers {
		b.Kill()
	}
}

// Addr is the address of the first broker's listener without a login.
func (c *Cluster) Addr() string { return c.Brokers[0].plain }

// Addrs are those of all brokers.
func (c *Cluster) Addrs() []string { return c.addrs(func(b *Broker) string { return b.plain }) }

// SASLAddrs are the addresses of the listeners with a login.
func (c *Cluster) SASLAddrs() []string { return c.addrs(func(b *Broker) string { return b.sasl }) }

// TLSAddrs are the addresses of the listeners that speak TLS.
func (c *Cluster) TLSAddrs() []string { return c.addrs(func(b *Broker) string { return b.tls }) }

// ProxiedAddrs are the addresses of the listeners behind proxies.
func (c *Cluster) ProxiedAddrs() []string {
	return c.addrs(func(b *Broker) string { return b.proxied })
}

func (c *Cluster) addrs(of func(*Broker) string) []string {
	var all []string
	for _, b := range c.Brokers {
		all = append(all, of(b))
	}
	return all
}

// Library is the class path of Kafka's own clients.
func (c *Cluster) Library() string { return filepath.Join(c.Brokers[0].installed, "lib", "*") }

// Broker returns the broker with an id.
func (c *Cluster) Broker(id int32) *Broker {
	return c.Brokers[slices.IndexFunc(c.Brokers, func(b *Broker) bool { return b.ID == id })]
}

// await waits until offsets of groups can be read. A fresh cluster creates the topic for them first,
// which the first question for one causes.
func (c *Cluster) await(ctx context.Context) error {
	client, err := c.newClient()
	if err != nil {
		return err
	}
	defer client.Close()
	var ended error
	err = childprocess.Poll(ctx, "Kafka to store offsets", patience, 50*time.Millisecond, func(ctx context.Context) error {
		for _, b := range c.Brokers {
			select {
			case <-b.process.Exited():
				// It does not come back, such as one whose port was taken: there is nothing to wait for.
				ended = fmt.Errorf("broker %d has ended: %w", b.ID, b.process.Err())
				return nil
			default:
			}
		}
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return awaitOffsets(bounded, client, len(c.Brokers))
	})
	if err = cmp.Or(ended, err); err != nil {
		for _, b := range c.Brokers {
			err = fmt.Errorf("%w\nbroker %d:\n%s", err, b.ID, b.output)
		}
		return err
	}
	return nil
}

// java returns what starts a program of Kafka with a small heap and little compilation.
func (b *Broker) java(main string, args ...string) childprocess.Command {
	return childprocess.Command{Name: fmt.Sprintf("kafka-%d", b.ID), Path: "java", Dir: b.dir, Args: append([]string{
		"-Xms64m", fmt.Sprintf("-Xmx%dm", b.heap), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.configurationFile=" + filepath.Join(b.dir, "log4j2.properties"),
		"-cp", filepath.Join(b.installed, "lib", "*"), main,
	}, args...), Stdout: b.output, Stderr: b.output}
}

// format prepares the folder of data, with the users of SCRAM.
func (b *Broker) format() error {
	b.output = new(childprocess.Output)
	process, err := childprocess.Start(b.java("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", b.properties(),
		"--add-scram", "SCRAM-SHA-256=[name="+User+",password="+Password+"]",
		"--add-scram", "SCRAM-SHA-512=[name="+User+",password="+Password+"]"))
	if err != nil {
		return err
	}
	select {
	case <-process.Exited():
	case <-time.After(patience):
		process.Kill()
	}
	if err := process.Err(); err != nil {
		return fmt.Errorf("format the folder of broker %d: %w\n%s", b.ID, err, b.output)
	}
	return nil
}

func (b *Broker) properties() string { return filepath.Join(b.dir, "server.properties") }

func (b *Broker) start() (err error) {
	b.process, err = childprocess.Start(b.java("kafka.Kafka", b.properties()))
	return err
}

// Kill ends the broker at once, as a crash would. It is idempotent.
func (b *Broker) Kill() {
	if b.process != nil {
		b.process.Kill()
	}
}

// Relaunch starts the broker again after Kill, with its data. It does not wait until it serves.
func (b *Broker) Relaunch() error { return b.start() }

// Restart is Relaunch for one test.
func (b *Broker) Restart(t testing.TB) {
	t.Helper()
	if err := b.Relaunch(); err != nil {
		t.Fatal(err)
	}
}

// Signal sends a signal to the process of the broker: SIGSTOP and SIGCONT are Freeze and Thaw.
func (b *Broker) Signal(s syscall.Signal) error { return b.process.Signal(s) }

// State returns how the process of the broker is, with the end of its output.
func (b *Broker) State() string {
	state := "it runs"
	select {
	case <-b.process.Exited():
		state = fmt.Sprintf("it has ended: %v", b.process.Err())
	default:
	}
	output := b.output.String()
	return state + "\n" + output[max(0, len(output)-2000):]
}

// folder returns where a version is, in this folder or one above: tests run in the folder of their
// package, which may be in a module below.
func folder(v Version) string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".tools", "servers", "kafka-"+string(v))
		if _, err := os.Stat(path); err == nil || dir == filepath.Dir(dir) {
			return path
		}
	}
}
