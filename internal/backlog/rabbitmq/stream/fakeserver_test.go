package stream

import (
	"bufio"
	"io"
	"maps"
	"net"
	"testing"
	"time"
)

// A fakeServer answers as its script says. It exists for answers that no real server gives.
type fakeServer struct {
	conn net.Conn
	in   *bufio.Reader
}

// frame reads one frame and returns its key and what follows.
func (f *fakeServer) frame() (key uint16, body []byte, err error) {
	size, key, err := readHead(f.in)
	if err != nil {
		return 0, nil, err
	}
	body, err = readBody(f.in, size)
	return key, body, err
}

// answer sends a frame with the correlation id of a question.
func (f *fakeServer) answer(key uint16, question []byte, fill func(*frameWriter)) {
	var w frameWriter
	w.begin(response | key)
	w.data = append(w.data, question[:4]...)
	fill(&w)
	w.end()
	_, _ = f.conn.Write(w.data)
}

// ok is the code of success alone.
func ok(w *frameWriter) { w.uint16(uint16(OK)) }

// login answers a handshake. override replaces an answer.
func (f *fakeServer) login(override map[uint16]func(*frameWriter)) bool {
	answers := map[uint16]func(*frameWriter){
		commandPeerProperties: func(w *frameWriter) {
			ok(w)
			w.count(2)
			for _, s := range []string{"product", "RabbitMQ", "version", "4.3.6"} {
				w.text(s)
			}
		},
		commandSaslHandshake:    func(w *frameWriter) { ok(w); w.count(1); w.text(Plain) },
		commandSaslAuthenticate: func(w *frameWriter) { ok(w); w.bytes(nil) },
		commandOpen: func(w *frameWriter) {
			ok(w)
			w.count(2)
			for _, s := range []string{"advertised_host", "one", "advertised_port", "5552"} {
				w.text(s)
			}
		},
	}
	maps.Copy(answers, override)
	for {
		key, body, err := f.frame()
		if err != nil {
			return false
		}
		if key == response|commandTune {
			continue
		}
		f.answer(key, body, answers[key])
		switch key {
		case commandSaslAuthenticate:
			var w frameWriter
			w.begin(commandTune)
			w.uint32(0)
			w.uint32(60)
			w.end()
			_, _ = f.conn.Write(w.data)
		case commandOpen:
			return true
		}
	}
}

// serve starts a server with a script and opens a connection to it.
func serve(t *testing.T, script func(*fakeServer)) (*Conn, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lives as long as the test
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		script(&fakeServer{conn, bufio.NewReader(conn)})
	}()
	conn, err := net.Dial("tcp", listener.Addr().String()) //nolint:noctx // on loopback
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), conn, patience, Login{Mechanism: Plain, Username: "u", Password: "p", VirtualHost: "/", Heartbeat: time.Minute})
	t.Cleanup(func() {
		if c != nil {
			c.Close()
		}
		_ = conn.Close()
		_ = listener.Close()
		<-done
	})
	return c, err
}

// drain reads until the client has gone.
func (f *fakeServer) drain() { _, _ = io.Copy(io.Discard, f.in) }
