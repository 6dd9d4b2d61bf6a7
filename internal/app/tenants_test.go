package app_test

import (
	"fmt"
	"strings"
	"testing"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// canary is a queue of another tenant, and in every name that a hint could have.
const canary = "canary"

// frameworkRef is a trigger of ScaledObject shop/worker on a queue of a framework.
func frameworkRef(connection, layout, queue string, pairs ...string) *pb.ScaledObjectRef {
	r := ref("", pairs...)
	delete(r.ScalerMetadata, "list")
	r.ScalerMetadata["connection"], r.ScalerMetadata[layout] = connection, queue
	return r
}

// TestHintStaysWithTheOperator: what a hint names may belong to other tenants. The author
// of a ScaledObject gets it only on a connection that is for its namespace alone. The
// operator gets it always, in the log and in explain.
func TestHintStaysWithTheOperator(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, command := range [][]any{
		{"SADD", "queues", canary},
		{"SADD", canary + ":queues", "lost"},
		{"LPUSH", canary + ":queue:lost", "{}"},
		{"SADD", "resque:queues", canary},
		{"LPUSH", canary + ":queue:lost", "{}"},
		{"SADD", "rq:queues", "rq:queue:" + canary},
		{"SADD", "asynq:queues", canary},
		{"SADD", "_kombu.binding.celery", canary + "\x06\x16\x06\x16" + canary},
		{"LPUSH", canary + "lost", "{}"},
		{"HSET", canary + ":lost:meta", "a", "b"},
		{"HSET", "bull:" + canary + ":meta", "a", "b"},
		{"LPUSH", canary + "queues:lost", "{}"},
		{"INCR", canary + ":lost:id"},
		{"HSET", canary + ":lost.msgs", "a", "{}"},
		{"RPUSH", canary + ":lost", "a"},
		{"ZADD", canary + ":__heartbeats__", 1, "worker"},
	} {
		server.Do(command...)
	}
	connection := func(name, namespaces string) string {
		return fmt.Sprintf("  %s: {engine: redis, namespaces: [%s], addresses: [%q]}\n", name, namespaces, server.Addr())
	}
	s := start(t, "connections:\n"+connection("shared", "shop, bank")+connection("everyone", "'*'")+connection("own", "shop"), setup{})
	for _, layout := range []string{"sidekiq", "resque", "rq", "asynq", "celery", "bullmq", "laravel", "beequeue", "dramatiq"} {
		for _, name := range []string{"shared", "everyone", "own"} {
			r := frameworkRef(name, layout, "lost", "missing", "error")
			r.Name = layout + "-" + name
			redistest.Eventually(t, layout+" on "+name+" has a hint for the operator", func() bool {
				_, _, err := s.ask(r)
				_, text := explained(t, s.app.AdminAddr().String(), r.GetName())
				return status.Code(err) == codes.NotFound && strings.Contains(text, "hint") && strings.Contains(text, canary)
			})
			author := func() string {
				_, _, err := s.ask(r)
				return err.Error()
			}
			if name == "own" {
				redistest.Eventually(t, layout+" on "+name+" has a hint for the author", func() bool { return strings.Contains(author(), canary) })
			} else if text := author(); strings.Contains(text, canary) {
				t.Errorf("%s on %s: the author gets %q", layout, name, text)
			}
		}
	}
	if !strings.Contains(s.log.String(), canary) {
		t.Error("the log has no hint")
	}
}

// TestQueueLimitOfAConnection: outside of its queues a connection does not exist for a
// namespace.
func TestQueueLimitOfAConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("LPUSH", "shop-orders", "1")
	server.Do("LPUSH", "bank-orders", "1", "2", "3")
	s := start(t, standalone(server.Addr(), `queues: ["{namespace}-*"]`), setup{})
	s.awaitValue(ref("shop-orders"), 1)
	s.awaitValue(ref("shop-*"), 1)
	for _, list := range []string{"bank-orders", "*", "*-orders", "shop-orders,bank-orders"} {
		_, _, err := s.ask(ref(list))
		if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "shop-*") {
			t.Errorf("list %q: %v, want it refused with what is allowed", list, err)
		}
	}
	s.awaitValue(&pb.ScaledObjectRef{Name: "ledger", Namespace: "bank", ScalerMetadata: map[string]string{"connection": "main", "list": "bank-*"}}, 3)
	// A limit that is lifted holds no longer.
	s.configure(standalone(server.Addr()))
	s.awaitValue(ref("bank-orders"), 3)
}
