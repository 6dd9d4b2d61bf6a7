package redis_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestHostileReplies: whatever a server answers, on the connection that reads and on the
// one that listens, the process lives, allocates no more than a reply may take, and reads
// other servers.
func TestHostileReplies(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	server := redistest.Start(t)
	server.Do("RPUSH", "jobs", "1")
	for name, bytes := range map[string]string{
		"a text of 2^63-1 bytes":               "$9223372036854775807",
		"an array of 2^63-1 elements":          "*9223372036854775807",
		"a text of 1 TiB":                      "$1099511627776",
		"an array of 2,000,000,000 elements":   "*2000000000",
		"an endless line":                      "+" + strings.Repeat("x", 1<<20),
		"an array nested 100,000 deep":         strings.Repeat("*1\r\n", 100_000),
		"arrays of a million, one in another":  strings.Repeat("*1000000\r\n", 7),
		"a map of 1,000,000,000 pairs":         "%1000000000",
		"attributes without end":               strings.Repeat("|1\r\n+a\r\n+b\r\n", 30_000),
		"pushes without end":                   strings.Repeat(">2\r\n+message\r\n+b\r\n", 30_000),
		"messages that were not subscribed to": strings.Repeat("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", 10_000),
	} {
		for _, command := range []string{"INFO", "LLEN", "CLIENT ID", "SUBSCRIBE", "CLIENT TRACKING"} {
			t.Run(name+" to "+command, func(t *testing.T) {
				proxy := redistest.StartProxy(t, server.Addr(), map[string]string{command: "ERR no\r\n" + bytes})
				hostile := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{proxy.Addr()}, nil))
				other := layouttest.OpenServer(t, server, nil)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range 3 {
					for _, result := range hostile.Read(t.Context(), []backlog.Query{list("jobs"), list("others")}, nil) {
						if result.Err == nil && result.Reading.Ready != 1 && result.Reading.Ready != 0 {
							t.Errorf("it reads as %+v", result.Reading)
						}
					}
				}
				runtime.ReadMemStats(&after)
				if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 256<<20 {
					t.Errorf("%d MiB were allocated", allocated>>20)
				}
				redistest.Eventually(t, "another connection is read", func() bool {
					result := other.Read(t.Context(), []backlog.Query{list("jobs")}, nil)[0]
					return result.Err == nil && result.Reading.Ready == 1
				})
			})
		}
	}
}
