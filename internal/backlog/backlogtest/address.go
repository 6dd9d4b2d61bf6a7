package backlogtest

import (
	"net"
	"strconv"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// FreeAddress returns a "host:port" of this machine at which no program listens and, until this process ends, no other
// test will.
func FreeAddress(t testing.TB) string {
	t.Helper()
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
}
