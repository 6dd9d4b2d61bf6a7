package layouttest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// ProcessesAreBounded checks that of more processes than are asked a reading of q says that it
// knows not all. set is the key at which the processes are.
func ProcessesAreBounded(t *testing.T, q backlog.Query, set string) {
	t.Helper()
	server := redistest.Start(t)
	source := OpenServer(t, server, nil)
	add := []any{"SADD", set}
	for i := range 1001 {
		add = append(add, fmt.Sprintf("host:%d:abc", i))
	}
	server.Do(add...)
	r := backlogtest.MustRead(t, source, q)
	if want := (Figures{InFlight: backlog.Exactly(1), Quality: backlog.LowerBound}); FiguresOf(r) != want {
		t.Errorf("%+v, want %+v", FiguresOf(r), want)
	}
	server.Do("SREM", set, "host:0:abc", "host:1:abc")
	redistest.Eventually(t, "all are asked", func() bool {
		return FiguresOf(backlogtest.MustRead(t, source, q)) == Figures{InFlight: backlog.Exactly(0)}
	})
}

// AddRecent returns the command of a KeysCase that adds members with a recent score to a sorted
// set: the numbers below n.
func AddRecent(key string, n int) string {
	words := []string{"ZADD", key}
	for i := range n {
		words = append(words, "RECENT", strconv.Itoa(i))
	}
	return strings.Join(words, " ")
}
