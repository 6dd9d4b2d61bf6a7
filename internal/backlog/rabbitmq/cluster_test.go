package rabbitmq_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// held is how many messages the queues of these tests hold.
const held = 10

// TestCluster breaks nodes of a cluster of three, one after the other. No queue that holds messages
// is read as one with fewer, whatever the servers answer meanwhile.
func TestCluster(t *testing.T) {
	t.Parallel()
	cluster := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 3, nil)
	first, second := cluster.Nodes[0], cluster.Nodes[1]
	// A quorum queue begins with a leader on the node that it is declared on, and a classic queue
	// lives there.
	filled := func(n *rabbitmqtest.Node, kind string) string {
		client := n.NewClient(t)
		queue := queueName(kind)
		client.Declare(t, queue, kind, nil)
		client.Publish(t, queue, held)
		return queue
	}
	quorum, classic, other := filled(first, "quorum"), filled(first, "classic"), filled(second, "classic")
	doomed := filled(cluster.Nodes[2], "quorum")
	open := func(more map[string]any) backlog.Source {
		return backlogtest.Open(t, rabbitmq.Engine(), settings(second, second.Address, more))
	}
	managed := open(nil)
	sources := map[string]backlog.Source{"managed": managed, "unmanaged": open(map[string]any{"managementURL": nil})}
	for name, source := range sources {
		for _, queue := range []string{quorum, classic, other, doomed} {
			awaitHeld(t, name, source, queue)
		}
	}

	// A leader that is frozen: the server answers 0 and 0, without an error, until there is another.
	first.Freeze(t)
	// A scaler that starts now has seen no message yet.
	fresh := map[string]backlog.Source{"managed, new": open(nil), "unmanaged, new": open(map[string]any{"managementURL": nil})}
	neverLess(t, sources, fresh, quorum)
	// A queue that lives on the frozen node answers not at all, and holds up no other.
	for name, source := range sources {
		results := readWithin(t, source, 10*time.Second, classic, other)
		if !errors.Is(results[0].Err, backlog.ErrUnavailable) {
			t.Errorf("%s: a classic queue on a frozen node reads as %+v, want ErrUnavailable", name, results[0])
		}
		awaitHeld(t, name, source, other)
	}
	first.Thaw(t)
	for name, source := range sources {
		awaitHeld(t, name, source, classic)
	}

	// A leader that is killed: zeros at once.
	cluster.Nodes[2].Kill()
	neverLess(t, sources, nil, doomed)
	cluster.Nodes[2].Restart(t)
	for name, source := range sources {
		awaitHeld(t, name, source, doomed)
		awaitHeld(t, name, source, quorum)
	}

	// A node that is down has queues that do not exist for the others: the same code as a queue that
	// was never there.
	first.Kill()
	for name, source := range sources {
		for range 3 {
			r := readWithin(t, source, 10*time.Second, classic)[0]
			if !errors.Is(r.Err, backlog.ErrUnavailable) {
				t.Errorf("%s: a classic queue on a dead node reads as %+v, want ErrUnavailable", name, r)
			}
		}
	}

	// Two of three nodes are dead: there will be no leader.
	cluster.Nodes[2].Kill()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		checkHeld(t, "managed", readWithin(t, managed, 10*time.Second, quorum)[0])
		time.Sleep(50 * time.Millisecond)
	}
}

// readWithin reads queues, and fails the test if that takes much longer than limit.
func readWithin(t *testing.T, source backlog.Source, limit time.Duration, queues ...string) []backlog.Result {
	t.Helper()
	queries := make([]backlog.Query, len(queues))
	for i, queue := range queues {
		queries[i] = query(queue)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	results := source.Read(ctx, queries, nil)
	if took := time.Since(began); took > limit+20*time.Second {
		t.Errorf("a read of at most %s took %s", limit, took)
	}
	return results
}

// checkHeld fails the test if a result is a reading of too few messages.
func checkHeld(t *testing.T, name string, r backlog.Result) bool {
	t.Helper()
	if r.Err != nil {
		return false
	}
	if r.Reading.Ready != held || r.Reading.Missing {
		t.Fatalf("%s: a queue of %d reads as %+v", name, held, r)
	}
	return true
}

// awaitHeld reads a queue until it has all its messages. An error is allowed meanwhile.
func awaitHeld(t *testing.T, name string, source backlog.Source, queue string) {
	t.Helper()
	rabbitmqtest.Eventually(t, name+" reads "+queue, func() bool {
		return checkHeld(t, name, readWithin(t, source, 10*time.Second, queue)[0])
	})
}

// neverLess reads a queue while it has no leader until the sources read all of it for a while. The new
// ones know nothing until the management API answers again, so they are not waited for.
func neverLess(t *testing.T, sources, fresh map[string]backlog.Source, queue string) {
	t.Helper()
	good := map[string]int{}
	rabbitmqtest.Eventually(t, "all read "+queue, func() bool {
		done := true
		for name, source := range fresh {
			checkHeld(t, name, readWithin(t, source, 100*time.Millisecond, queue)[0])
		}
		for name, source := range sources {
			if checkHeld(t, name, readWithin(t, source, 10*time.Second, queue)[0]) {
				good[name]++
			} else {
				good[name] = 0
			}
			done = done && good[name] > 50
		}
		return done
	})
}
