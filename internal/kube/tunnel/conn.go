package tunnel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"k8s.io/streaming/pkg/httpstream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// maxFailure bounds what the node says about a failure, in bytes.
const maxFailure = 4 << 10

// A conn is the near end of a pipe, so that it has deadlines, which a stream has not.
type conn struct {
	net.Conn
	// failure is why the connection ended; nil if it ended in order. It is set before the pipe is closed.
	failure *atomic.Pointer[error]
}

// Read returns the failure that the node reported in place of an end.
func (c conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.because(err)
}

// Write returns the failure that the node reported in place of an end.
func (c conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.because(err)
}

// because returns the failure behind the end of the pipe.
func (c conn) because(err error) error {
	if failure := c.failure.Load(); failure != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)) {
		return *failure
	}
	return err
}

// failureTimeout bounds the wait for the reason of an end. A node closes both streams together.
const failureTimeout = time.Second

// carry copies between the streams and the connection that it returns, until either ends.
func (t *Tunnel) carry(session httpstream.Connection, data, failures httpstream.Stream) net.Conn {
	near, far := net.Pipe()
	c := conn{near, new(atomic.Pointer[error])}
	judged := make(chan struct{})
	t.running.Go(func() {
		defer close(judged)
		text, err := io.ReadAll(io.LimitReader(failures, maxFailure))
		if err == nil && len(text) > 0 {
			failure := fmt.Errorf("reach %s: %s", t.place, backlog.Line(string(text)))
			c.failure.Store(&failure)
			// No byte follows. This ends the copy of data.
			_ = data.Reset()
		}
	})
	t.running.Go(func() {
		_, _ = io.Copy(far, data)
		select {
		case <-judged:
		case <-time.After(failureTimeout):
		}
		_ = far.Close()
	})
	t.running.Go(func() {
		_, _ = io.Copy(data, far)
		// The near end is closed, or the far one: nothing waits for what is left.
		_ = data.Reset()
		_ = failures.Reset()
		session.RemoveStreams(data, failures)
	})
	return c
}
