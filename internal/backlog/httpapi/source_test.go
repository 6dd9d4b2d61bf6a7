package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

func queries(n int) []backlog.Query {
	all := make([]backlog.Query, n)
	for i := range all {
		all[i] = backlog.Query{Layout: "query", Queue: strconv.Itoa(i)}
	}
	return all
}

func newSource(t testing.TB, read func(context.Context, backlog.Query) (backlog.Reading, error)) *httpapi.Source {
	t.Helper()
	address := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	source := httpapi.NewSource(t.Context(), open(t, address, nil), func() string { return "test 1" }, read)
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// TestSourceReadsSideBySide has more queries than are asked at a time. Some fail and one
// panics. Results are in order, behind those that are there.
func TestSourceReadsSideBySide(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int64
	source := newSource(t, func(_ context.Context, q backlog.Query) (backlog.Reading, error) {
		now := running.Add(1)
		defer running.Add(-1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		time.Sleep(time.Millisecond)
		n, err := strconv.Atoi(q.Queue)
		switch {
		case err != nil:
			return backlog.Reading{}, err
		case n == 13:
			panic("thirteen")
		case n%10 == 7:
			return backlog.Reading{}, fmt.Errorf("%w: %d", backlog.ErrMismatch, n)
		}
		return backlog.Reading{Measured: backlog.Measurement{Milli: int64(n), Known: true}}, nil
	})
	results := source.Read(t.Context(), queries(100), make([]backlog.Result, 3))
	if len(results) != 103 {
		t.Fatalf("%d results, want 103", len(results))
	}
	for n, r := range results[3:] {
		switch {
		case n == 13:
			if !errors.Is(reason(t, r.Err), backlog.ErrUnavailable) || !errors.Is(r.Err, backlog.ErrPanic) {
				t.Errorf("a panic is %v", r.Err)
			}
		case n%10 == 7:
			if !errors.Is(reason(t, r.Err), backlog.ErrMismatch) {
				t.Errorf("query %d is %+v", n, r)
			}
		case r.Err != nil || r.Reading.Measured.Milli != int64(n) || r.Armed:
			t.Errorf("query %d is %+v", n, r)
		}
	}
	if most.Load() > httpapi.MaxConnections {
		t.Errorf("%d queries were asked at a time", most.Load())
	}
	if status := source.Status(); status.Server != "test 1" || status.WakeUp != "poll" || status.IdlePoll != 5*time.Second {
		t.Errorf("the status is %+v", status)
	}
}

// TestCloseEndsReads closes a source while it reads. Close waits for the read.
func TestCloseEndsReads(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 100)
	source := newSource(t, func(ctx context.Context, _ backlog.Query) (backlog.Reading, error) {
		began <- struct{}{}
		<-ctx.Done()
		return backlog.Reading{}, fmt.Errorf("%w: %w", backlog.ErrUnavailable, ctx.Err())
	})
	done := make(chan []backlog.Result, 1)
	go func() { done <- source.Read(context.Background(), queries(100), nil) }()
	<-began
	for range 2 {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, r := range append(<-done, source.Read(t.Context(), queries(2), nil)...) {
		if !errors.Is(reason(t, r.Err), backlog.ErrUnavailable) {
			t.Errorf("got %+v, want ErrUnavailable", r)
		}
	}
	if err := source.Probe(t.Context()); !errors.Is(reason(t, err), backlog.ErrUnavailable) {
		t.Errorf("a closed source verifies its connection: %v", err)
	}
}

// TestProbe accepts any content of the root.
func TestProbe(t *testing.T) {
	t.Parallel()
	source := newSource(t, nil)
	if err := source.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	source.WithProbe(func(context.Context) error { panic("bug") })
	if err := source.Probe(t.Context()); !errors.Is(err, backlog.ErrPanic) {
		t.Errorf("got %v, want ErrPanic", err)
	}
}

// TestErrorsNameTheQuery: an error names the query and the connection. Where the text of a query came
// from the environment, neither it nor what a server says about it is repeated. What concerns the
// connection is.
func TestErrorsNameTheQuery(t *testing.T) {
	t.Parallel()
	plain := backlog.Query{Layout: "query", Queue: "hunter2"}
	private := backlog.Query{Layout: "query", Queue: "hunter2", Params: backlog.NewParams(map[string]string{backlog.ParamFromEnv: "queryFromEnv"})}
	saying := newSource(t, func(_ context.Context, q backlog.Query) (backlog.Reading, error) {
		return backlog.Reading{}, fmt.Errorf("%w: no series %s", backlog.ErrMismatch, q.Queue)
	})
	unreachable := open(t, talking(t, send()), nil)
	silent := newSource(t, func(ctx context.Context, q backlog.Query) (backlog.Reading, error) {
		_, err := unreachable.Do(ctx, httpapi.Request{Path: "/", Query: url.Values{"query": {q.Queue}}})
		return backlog.Reading{}, err
	})
	for _, c := range []struct {
		source *httpapi.Source
		query  backlog.Query
		want   string
	}{
		{saying, plain, `read query "hunter2" of connection "metrics": mismatch: no series hunter2`},
		{saying, private, `read query [from queryFromEnv] of connection "metrics": mismatch (the words of the server may repeat [from queryFromEnv])`},
		{silent, private, `read query [from queryFromEnv] of connection "metrics": unavailable: the server ends the connection`},
	} {
		r := c.source.Read(t.Context(), []backlog.Query{c.query}, nil)[0]
		if r.Err == nil || !strings.HasPrefix(r.Err.Error(), c.want) || c.query == private && strings.Contains(r.Err.Error(), "hunter2") {
			t.Errorf("got %v, want %s", r.Err, c.want)
		}
	}
}
