package rabbitmqtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess/processtest"
)

// A Node is one process of a server.
type Node struct {
	processtest.Freezer

	// Name is that of the Erlang node, such as "n1@localhost".
	Name string
	// Address is its "host:port" for AMQP, TLSAddress the one with TLS, which only StartTLS has.
	Address, TLSAddress string
	// Management is the URL of its management API.
	Management string
	// Stream is its "host:port" for the stream protocol, StreamTLS the one with TLS, which only StartTLS
	// has.
	Stream, StreamTLS string

	server  *Server
	dir     string
	ports   []int
	process *childprocess.Process
	output  *buffer
}

// A buffer is the output of a node. Its goroutine and a failing test use it at the same time.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start starts the process of a node, which keeps the data of its former life.
func (n *Node) start() error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	for name, content := range map[string]string{"rabbitmq.conf": n.config(), "enabled_plugins": n.plugins(), ".erlang.cookie": "rabbitmqtest"} {
		path := filepath.Join(n.dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o400); err != nil {
			return err
		}
	}
	programs, err := filepath.Glob(filepath.Join(n.server.root, "usr", "lib", "rabbitmq", "lib", "rabbitmq_server-*", "sbin", "rabbitmq-server"))
	if err != nil || len(programs) == 0 {
		return fmt.Errorf("find rabbitmq-server below %s: %w", n.server.root, errors.Join(err, os.ErrNotExist))
	}
	n.output = &buffer{}
	n.process, err = childprocess.Start(childprocess.Command{Name: n.Name, Path: programs[0], Env: n.environment(), Dir: n.dir, Stdout: n.output, Stderr: n.output})
	return err
}

// config is that of https://www.rabbitmq.com/docs/configure.
func (n *Node) config() string {
	lines := []string{
		"listeners.tcp.1 = " + n.Address,
		"management.tcp.ip = " + host,
		fmt.Sprintf("management.tcp.port = %d", n.ports[1]),
		"stream.listeners.tcp.1 = " + n.Stream, "stream.advertised_host = " + host, "stream.advertised_tls_host = " + host,
		"log.file = false", "log.console = true", "log.console.level = warning",
		"vm_memory_high_watermark.absolute = 512MB", "disk_free_limit.absolute = 50MB",
	}
	if len(n.server.Nodes) > 1 {
		lines = append(lines, "cluster_formation.peer_discovery_backend = classic_config")
		for i, other := range n.server.Nodes {
			lines = append(lines, fmt.Sprintf("cluster_formation.classic_config.nodes.%d = %s", i+1, other.Name))
		}
	}
	if c := n.server.tls; c != nil {
		lines = append(lines,
			"listeners.ssl.1 = "+n.TLSAddress, "stream.listeners.ssl.1 = "+n.StreamTLS, "ssl_options.cacertfile = "+c.CA.Path, "ssl_options.certfile = "+c.ServerCert,
			"ssl_options.keyfile = "+c.ServerKey, "ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true",
			"ssl_cert_login_from = common_name", "auth_mechanisms.1 = PLAIN", "auth_mechanisms.2 = EXTERNAL")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (n *Node) plugins() string {
	if n.server.tls != nil {
		return "[rabbitmq_management,rabbitmq_stream,rabbitmq_auth_mechanism_ssl].\n"
	}
	return "[rabbitmq_management,rabbitmq_stream].\n"
}

// environment is that of https://www.rabbitmq.com/docs/relocate, so that nothing of the system's own
// RabbitMQ is used.
func (n *Node) environment() []string {
	none := filepath.Join(n.dir, "none")
	return []string{
		"HOME=" + n.dir, "PATH=" + filepath.Join(n.server.root, "usr", "lib", "erlang", "bin") + ":" + os.Getenv("PATH"),
		"RABBITMQ_NODENAME=" + n.Name, "RABBITMQ_CONFIG_FILE=" + filepath.Join(n.dir, "rabbitmq"), "RABBITMQ_CONFIG_FILES=" + none,
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + none, "RABBITMQ_CONF_ENV_FILE=" + none,
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(n.dir, "data"), "RABBITMQ_LOG_BASE=" + filepath.Join(n.dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(n.dir, "enabled_plugins"), "RABBITMQ_PID_FILE=" + filepath.Join(n.dir, "pid"),
		fmt.Sprintf("RABBITMQ_DIST_PORT=%d", n.ports[2]), fmt.Sprintf("ERL_EPMD_PORT=%d", n.server.port), "ERL_EPMD_ADDRESS=" + host,
		"RABBITMQ_SERVER_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
	}
}

// await waits until the node serves and knows so many that run.
func (n *Node) await(ctx context.Context, nodes int) error {
	return childprocess.Poll(ctx, n.Name, Patience, 50*time.Millisecond, func(ctx context.Context) error {
		select {
		case <-n.process.Exited():
			return fmt.Errorf("the node has ended: %w", n.process.Err())
		default:
		}
		var known []struct {
			Running bool `json:"running"`
		}
		body, err := n.send(ctx, http.MethodGet, "/api/nodes", nil)
		if err == nil {
			err = json.Unmarshal(body, &known)
		}
		running := 0
		for _, one := range known {
			if one.Running {
				running++
			}
		}
		if err == nil && running < nodes {
			err = fmt.Errorf("%d of %d nodes run", running, nodes)
		}
		if err != nil {
			return err
		}
		// The listeners for AMQP open last.
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.Address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// Signal sends a signal to the process of the node: SIGSTOP and SIGCONT are Freeze and Thaw.
func (n *Node) Signal(signal syscall.Signal) error { return n.process.Signal(signal) }

// Stop ends a node in order. Unlike Kill it keeps the coordinator of streams of a server that has just
// been started, which is not yet on disk.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	if err := n.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.process.Exited():
	case <-time.After(Patience):
		t.Fatalf("%s does not end", n.Name)
	}
}

// Kill ends a node at once, as a crash would. It is idempotent.
func (n *Node) Kill() {
	if n.process != nil {
		n.process.Kill()
	}
}

// Relaunch starts a node again that has ended, with its data, and waits until it serves.
func (n *Node) Relaunch(ctx context.Context) error {
	err := n.start()
	if err == nil {
		err = n.await(ctx, 1)
	}
	if err != nil {
		return fmt.Errorf("restart %s: %w\n%s", n.Name, err, n.output)
	}
	return nil
}

// Restart is Relaunch for one test.
func (n *Node) Restart(t testing.TB) {
	t.Helper()
	if err := n.Relaunch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Log returns what the node has written so far.
func (n *Node) Log() string { return n.output.String() }

// Do sends a request to the management API that must succeed, and returns the answer.
func (n *Node) Do(t testing.TB, method, path string, content any) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	body, err := n.send(ctx, method, path, content)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return body
}

// send returns the body of the answer, and an error if it is none of success.
func (n *Node) send(ctx context.Context, method, path string, content any) ([]byte, error) {
	var sent io.Reader = http.NoBody
	if content != nil {
		data, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(data)
	}
	q, err := http.NewRequestWithContext(ctx, method, n.Management+path, sent)
	if err != nil {
		return nil, err
	}
	q.SetBasicAuth(Username, Password)
	q.Header.Set("Content-Type", "application/json")
	q.Close = true // no connection outlives the test
	answer, err := (&http.Client{Timeout: Patience}).Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return body, err
}
