package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"
)

// freePort returns a port of 12000 to 20999 that is free. The port 10000
// above, where nodes of a cluster talk to each other, is free too. Both are outside of
// the range from which systems choose ports of outgoing connections.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 12000 + rand.IntN(9000)
		if isFree(port) && isFree(port+10000) {
			return port
		}
	}
	t.Fatal("find a free port")
	return 0
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // a test's probe of a port
	if err != nil {
		return false
	}
	return l.Close() == nil
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
