package logs_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a source of a connection with these settings, closed with the test.
func open(t testing.TB, settings map[string]any) backlog.Source {
	t.Helper()
	connection := backlog.Connection{Name: "logs", Engine: "logs", Settings: backlog.NewSettings(settings)}
	source, err := logs.Engine().Open(t.Context(), connection, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// with returns settings with others in addition.
func with(settings, others map[string]any) map[string]any {
	all := maps.Clone(settings)
	maps.Copy(all, others)
	return all
}

// query returns a query of the last five minutes; params are pairs of a name and a value.
func query(text string, params ...string) backlog.Query {
	values := map[string]string{"window": "5m"}
	for i := 0; i+1 < len(params); i += 2 {
		values[params[i]] = params[i+1]
	}
	return backlog.Query{Layout: "query", Queue: text, Params: backlog.NewParams(values)}
}

// of returns a query of a namespace.
func of(namespace string, q backlog.Query) backlog.Query {
	q.Namespace = namespace
	return q
}

// read answers one query.
func read(t testing.TB, source backlog.Source, q backlog.Query) backlog.Result {
	t.Helper()
	results := source.Read(t.Context(), []backlog.Query{q}, nil)
	if len(results) != 1 {
		t.Fatalf("one query has %d results", len(results))
	}
	return results[0]
}

// patience bounds the wait for an answer of a real server. It is long because it passes only where
// something is wrong.
const patience = 2 * time.Minute

// readAnswer answers one query of a server that runs, and asks again where a busy machine takes longer
// than a read may.
func readAnswer(t testing.TB, source backlog.Source, q backlog.Query) backlog.Result {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		result := read(t, source, q)
		if !errors.Is(result.Err, backlog.ErrUnavailable) || time.Now().After(deadline) {
			return result
		}
	}
}

// A reading is a case: what a query must yield.
type reading struct {
	query backlog.Query
	count int64
	// err is what the error must wrap; nil if there must be none. parts are in its text.
	err   error
	parts []string
}

func counts(q backlog.Query, count int64) reading { return reading{query: q, count: count} }

func fails(q backlog.Query, err error, parts ...string) reading {
	return reading{query: q, err: err, parts: parts}
}

// check reads all cases, each in a test of its own.
func check(t *testing.T, source backlog.Source, cases map[string]reading) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verify(t, readAnswer(t, source, c.query), c)
		})
	}
}

func verify(t testing.TB, got backlog.Result, want reading) {
	t.Helper()
	if want.err != nil {
		verifyError(t, got, want)
		return
	}
	if got.Err != nil {
		t.Fatalf("%s: %v", want.query, got.Err)
	}
	r := got.Reading
	if !r.Measured.Known || r.Measured.Milli != want.count*1000 || r.At.IsZero() || r.Ready != 0 || got.Armed {
		t.Errorf("%s is %+v, want %d", want.query, r, want.count)
	}
}

func verifyError(t testing.TB, got backlog.Result, want reading) {
	t.Helper()
	if !errors.Is(got.Err, want.err) || got.Reading.Measured.Known {
		t.Fatalf("%s is %+v, %v; want an error that is %v", want.query, got.Reading, got.Err, want.err)
	}
	wrapped := 0
	for _, kind := range []error{backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial} {
		if errors.Is(got.Err, kind) {
			wrapped++
		}
	}
	if wrapped != 1 {
		t.Errorf("%v wraps %d kinds of errors, want one", got.Err, wrapped)
	}
	text := got.Err.Error()
	for _, part := range want.parts {
		if !strings.Contains(text, part) {
			t.Errorf("error %q, want %q in it", text, part)
		}
	}
	if len(text) > 2*backlog.MaxLine {
		t.Errorf("the error has %d bytes", len(text))
	}
}

// verifyProbe checks that a server is verified without a query, and that its name is then known.
func verifyProbe(t *testing.T, settings map[string]any, name string) {
	t.Helper()
	source := open(t, settings)
	prober, ok := source.(backlog.Prober)
	if !ok {
		t.Fatalf("%T cannot be verified", source)
	}
	deadline := time.Now().Add(patience)
	err := prober.Probe(t.Context())
	for errors.Is(err, backlog.ErrUnavailable) && time.Now().Before(deadline) {
		err = prober.Probe(t.Context())
	}
	if got := source.Status().Server; err != nil || got != name {
		t.Errorf("the server is %q, %v; want %q", got, err, name)
	}
}

// verifyStopped checks that a server that has ended is an error, and that the source closes.
func verifyStopped(t *testing.T, source backlog.Source, q backlog.Query) {
	t.Helper()
	verify(t, read(t, source, q), fails(q, backlog.ErrUnavailable))
	if err := source.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := source.Read(ctx, []backlog.Query{q}, nil)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
		t.Errorf("a closed source reads %+v, %v", r.Reading, r.Err)
	}
}
