package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// ofNamespace is a query of several queues that a trigger of a namespace makes.
func ofNamespace(namespace, queues string) backlog.Query {
	q := layouttest.Query("list", queues)
	q.Namespace = namespace
	return q
}

// TestQueuesOfANamespaceAreBounded: the patterns and names of all its triggers together. One
// too many is an error, never fewer queues; other namespaces go on; and queues that are not
// read any more make room.
func TestQueuesOfANamespaceAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, prefix := range []string{"a", "b", "c"} {
		server.Do("EVAL", "for i = 1, 9000 do redis.call('LPUSH', ARGV[1] .. ':' .. i, 'x') end", 0, prefix)
	}
	source := layouttest.OpenServer(t, server, nil)
	await := func(what string, ok func(results []backlog.Result) bool, queries ...backlog.Query) {
		t.Helper()
		var results []backlog.Result
		redistest.Eventually(t, what, func() bool {
			results = source.Read(t.Context(), queries, nil)
			return ok(results)
		})
	}
	whole := func(r backlog.Result) bool { return r.Err == nil && r.Reading.Ready == 9000 }
	a, b, c := ofNamespace("shop", "a:*"), ofNamespace("shop", "b:*"), ofNamespace("shop", "c:*")
	await("two patterns are read", func(r []backlog.Result) bool { return whole(r[0]) && whole(r[1]) }, a, b)
	await("a third is refused", func(r []backlog.Result) bool {
		return whole(r[0]) && whole(r[1]) && errors.Is(r[2].Err, backlog.ErrExhausted)
	}, a, b, c)
	names := make([]string, 999)
	for i := range names {
		names[i] = fmt.Sprintf("n:%d", i)
	}
	named := func(n int) backlog.Query {
		return ofNamespace("shop", strings.Join(names, ",")+fmt.Sprintf(",more:%d", n))
	}
	await("the rest is for names, and what goes beyond it is refused", func(r []backlog.Result) bool {
		return r[2].Err == nil && r[3].Err == nil && errors.Is(r[4].Err, backlog.ErrExhausted)
	}, a, b, named(1), named(2), named(3))
	if text := fmt.Sprint(source.Read(t.Context(), []backlog.Query{a, b, c}, nil)[2].Err); !strings.Contains(text, `namespace "shop"`) {
		t.Errorf("the error is %s", text)
	}
	await("another namespace is read", func(r []backlog.Result) bool { return whole(r[0]) }, ofNamespace("bank", "c:*"))
}

// TestNamesOfAMegabyteAreBounded: keys with such names count for as much as they take.
func TestNamesOfAMegabyteAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("EVAL", "for i = 1, 40 do redis.call('LPUSH', 'long:' .. i .. string.rep('x', 1048576), 'x') end", 0)
	server.Do("LPUSH", "short:1", "x")
	source := layouttest.OpenServer(t, server, nil)
	redistest.Eventually(t, "the pattern that matches them is refused, and the other is read", func() bool {
		r := source.Read(t.Context(), []backlog.Query{ofNamespace("shop", "long:*"), ofNamespace("shop", "short:*")}, nil)
		return r[0].Err != nil && errors.Is(r[0].Err, backlog.ErrExhausted) && r[1].Err == nil && r[1].Reading.Ready == 1
	})
}

// TestPatternWithoutQueuesInAnOutage: a query that asks the server nothing fails with those
// that do.
func TestPatternWithoutQueuesInAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	queries := []backlog.Query{list("jobs"), ofNamespace("shop", "none:*")}
	redistest.Eventually(t, "both are read", func() bool {
		results := source.Read(t.Context(), queries, nil)
		return results[0].Err == nil && results[1].Err == nil
	})
	server.Kill()
	redistest.Eventually(t, "both fail", func() bool {
		results := source.Read(t.Context(), queries, nil)
		return errors.Is(results[0].Err, backlog.ErrUnavailable) && errors.Is(results[1].Err, backlog.ErrUnavailable)
	})
}
