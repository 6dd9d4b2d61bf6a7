package jetstream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream"
)

// A fake is a server that speaks the protocol of NATS and answers the API as a test wants it to, for
// answers that no real server gives.
type fake struct {
	listener net.Listener
	tasks    sync.WaitGroup

	// mu guards what follows.
	mu    sync.Mutex
	conns []net.Conn
	// answer returns the payload of the answer to a request. raw, if it is not nil, returns what is sent
	// in place of a message with it, for a subject of an answer and the number of its subscription.
	answer func(subject string, body []byte) string
	raw    func(reply, sid, payload string) string
	// greeting is the first line.
	greeting string
}

// newFake starts a fake with one stream "jobs" of ten messages and its consumer.
func newFake(t testing.TB) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives as long as the test
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: listener, greeting: `INFO {"server_id":"fake","version":"2.15.2","headers":true,"max_payload":1048576}` + "\r\n"}
	f.answer = func(subject string, _ []byte) string {
		if strings.Contains(subject, "CONSUMER.INFO") {
			return consumerAnswer("")
		}
		return streamAnswer("")
	}
	f.tasks.Go(f.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		f.mu.Lock()
		for _, conn := range f.conns {
			_ = conn.Close()
		}
		f.mu.Unlock()
		f.tasks.Wait()
	})
	return f
}

// replace returns an answer with changes, one a line: the text before each "=>" is replaced by what
// follows.
func replace(answer, changes string) string {
	for change := range strings.Lines(changes) {
		from, to, _ := strings.Cut(strings.TrimSuffix(change, "\n"), "=>")
		answer = strings.Replace(answer, from, to, 1)
	}
	return answer
}

func streamAnswer(change string) string {
	return replace(`{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"jobs","subjects":["jobs.*"],"retention":"limits","num_replicas":1},`+
		`"created":"2026-01-02T03:04:05Z","state":{"messages":10,"first_seq":1,"last_seq":10,"first_ts":"2026-01-02T03:04:05Z"},"cluster":{"leader":"n1"}}`, change)
}

func consumerAnswer(change string) string {
	return replace(`{"type":"io.nats.jetstream.api.v1.consumer_info_response","stream_name":"jobs","name":"worker","config":{"ack_policy":"explicit","max_ack_pending":100},`+
		`"delivered":{"consumer_seq":3,"stream_seq":3},"num_ack_pending":2,"num_pending":7,"cluster":{"leader":"n1"}}`, change)
}

func (f *fake) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, conn)
		f.mu.Unlock()
		f.tasks.Go(func() { f.serve(conn) })
	}
}

// serve speaks with one client.
func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	f.mu.Lock()
	greeting := f.greeting
	f.mu.Unlock()
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, greeting); err != nil {
		return
	}
	inbox := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fields := strings.Fields(line)
		out := ""
		switch {
		case len(fields) == 0:
		case fields[0] == "PING":
			out = "PONG\r\n"
		case fields[0] == "SUB" && inbox == "":
			inbox = fields[len(fields)-1]
		case fields[0] == "PUB" && len(fields) == 4:
			size, err := strconv.Atoi(fields[3])
			if err != nil {
				return
			}
			body := make([]byte, size+2)
			if _, err := io.ReadFull(in, body); err != nil {
				return
			}
			out = f.respond(fields[1], fields[2], inbox, body[:size])
		}
		if _, err := io.WriteString(conn, out); err != nil {
			return
		}
	}
}

func (f *fake) respond(subject, reply, sid string, body []byte) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	payload := f.answer(subject, body)
	if f.raw != nil {
		return f.raw(reply, sid, payload)
	}
	return fmt.Sprintf("MSG %s %s %d\r\n%s\r\n", reply, sid, len(payload), payload)
}

// set changes what the fake does.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// open opens a source to the fake.
func (f *fake) open(t testing.TB, more map[string]any) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, jetstream.Engine(), settings([]string{f.listener.Addr().String()}, more))
}
