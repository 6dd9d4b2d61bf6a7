package redis_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

// outage reads a batch over a connection to a port where nothing listens.
func outage(tb testing.TB, source backlog.Source, queries int) []backlog.Result {
	tb.Helper()
	var batch []backlog.Query
	for i := range queries {
		batch = append(batch, list(fmt.Sprintf("jobs-%d", i)))
	}
	// A pattern that nothing is known of has no commands, and is no less unknown.
	batch = append(batch, list("pattern-*"), list("last"))
	return source.Read(tb.Context(), batch, nil)
}

// TestOutageIsDiagnosedOnce: the queries of a batch fail for one reason, which was looked
// into once, and each error names its own query. So does that of a query without commands.
func TestOutageIsDiagnosedOnce(t *testing.T) {
	t.Parallel()
	source := backlogtest.Open(t, redis.Engine(), layouttest.Connection([]string{"127.0.0.1:1"}, nil))
	results := outage(t, source, 100)
	var first *backlog.ReadError
	for i, result := range results {
		var failure *backlog.ReadError
		if !errors.As(result.Err, &failure) || !failure.Whole || !errors.Is(result.Err, backlog.ErrUnavailable) {
			t.Fatalf("query %d: %v, want an error of the connection", i, result.Err)
		}
		if first == nil {
			first = failure
		}
		if failure.Err != first.Err { //nolint:errorlint // the very same
			t.Errorf("query %d was diagnosed for itself", i)
		}
		if i < 100 && failure.Query != list(fmt.Sprintf("jobs-%d", i)) {
			t.Errorf("query %d: %v", i, failure)
		}
	}
	want := `read list "jobs-0" of connection "test": unavailable: dial tcp 127.0.0.1:1: connect: connection refused`
	if text, change := backlog.Advice(results[0].Err); text != want || change == "" {
		t.Errorf("got  %s; %s\nwant %s", text, change, want)
	}
}

func BenchmarkOutage(b *testing.B) {
	source := backlogtest.Open(b, redis.Engine(), layouttest.Connection([]string{"127.0.0.1:1"}, nil))
	b.ReportAllocs()
	for b.Loop() {
		outage(b, source, 5000)
	}
}
