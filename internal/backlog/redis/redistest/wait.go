package redistest

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// freePort returns a port that is free. The port 10000 above, where nodes of a cluster talk to each other, is
// free too.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		ports, err := childprocess.FreePorts("127.0.0.1", 1)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]+10000))) //nolint:noctx // a test's probe of a port
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return ports[0]
	}
	t.Fatal("find a free port")
	return 0
}

// Eventually polls condition until it is true, and fails the test if it does not become so.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("wait until %s: not within %s", what, patience)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
