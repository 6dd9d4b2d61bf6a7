package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	client "github.com/rabbitmq/rabbitmq-stream-go-client/pkg/stream"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
)

// readStreams reads a query, and fails the test if it reads as less than want, or if the read takes much
// longer than limit. It reports whether it was read as want.
func readStreams(t *testing.T, source backlog.Source, q backlog.Query, want int64) bool {
	t.Helper()
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	began := time.Now()
	r := source.Read(ctx, []backlog.Query{q}, nil)[0]
	if took := time.Since(began); took > limit+20*time.Second {
		t.Errorf("a read of at most %s took %s", limit, took)
	}
	if r.Err != nil {
		t.Log(r.Err)
		return false
	}
	if r.Reading.Missing || r.Reading.Ready < want || r.Reading.Ready > want && r.Reading.Quality == backlog.Exact {
		t.Fatalf("a lag of %d reads as %+v", want, r)
	}
	return r.Reading.Ready == want || r.Reading.Quality == backlog.UpperBound
}

// TestStreamCluster breaks nodes of a cluster of three, one after the other. No stream is read as one
// with a smaller lag, whatever the servers answer meanwhile: a leader that has just been elected says that
// a majority has nothing.
func TestStreamCluster(t *testing.T) {
	t.Parallel()
	cluster := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 3, nil)
	c := newStreamClient(t, cluster.Nodes[1])
	const streams = 6
	queries := make([]backlog.Query, streams)
	for i := range queries {
		name := queueName("clustered")
		c.declare(t, name, nil)
		c.publish(t, name, 20, 10)
		c.process(t, name, "worker", 12)
		queries[i] = streamQuery(name, "worker")
	}
	// The addresses of the settings are those of one node, and the others are found.
	more := map[string]any{"streamAddresses": []string{cluster.Nodes[1].Stream, cluster.Nodes[2].Stream}, "answerTimeout": 2 * time.Second, "dialTimeout": 2 * time.Second}
	source := openStreams(t, cluster.Nodes[1], more)
	awaitAll := func(what string) {
		t.Helper()
		rabbitmqtest.Eventually(t, what, func() bool {
			all := true
			for _, q := range queries {
				all = readStreams(t, source, q, 8) && all
			}
			return all
		})
	}
	awaitAll("all are read")

	// Leaders that are killed are replaced.
	cluster.Nodes[0].Kill()
	awaitAll("all are read after a node was killed")
	cluster.Nodes[0].Restart(t)
	awaitAll("all are read after it came back")

	// A leader that is frozen holds up its own streams only.
	cluster.Nodes[2].Freeze(t)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		began, read := time.Now(), 0
		for _, r := range source.Read(ctx, queries, nil) {
			switch {
			case r.Err != nil:
				t.Log(r.Err)
			case r.Reading.Ready < 8 || r.Reading.Missing:
				t.Errorf("a lag of 8 reads as %+v", r)
			default:
				read++
			}
		}
		cancel()
		t.Logf("%d of %d streams were read in %s while a node was frozen", read, streams, time.Since(began))
		if read == 0 {
			t.Error("no stream was read while a node was frozen")
		}
	}
	cluster.Nodes[2].Thaw(t)
	awaitAll("all are read after a node was thawed")

	// Without a majority nothing is known for sure, and nothing is 0.
	cluster.Nodes[0].Stop(t)
	cluster.Nodes[2].Stop(t)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		for _, q := range queries {
			readStreams(t, source, q, 8)
		}
	}
}

// TestStreamRestart: a restart changes the epoch, a frozen server is an error within the bound of a read,
// and so is one that is dead.
func TestStreamRestart(t *testing.T) {
	t.Parallel()
	for _, version := range streamVersions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n := rabbitmqtest.Start(t, version, 1, nil).Nodes[0]
			c, source := newStreamClient(t, n), openStreams(t, n, map[string]any{"answerTimeout": 2 * time.Second})
			name := queueName("restarted")
			q := streamQuery(name, "worker")
			c.declare(t, name, nil)
			c.publish(t, name, 5, 10)
			c.process(t, name, "worker", 2)
			before := await(t, source, q, "3", func(r backlog.Reading) bool { return r.Ready == 3 }).Epoch
			n.Freeze(t)
			// A process stops a moment after the signal.
			rabbitmqtest.Eventually(t, "the server is frozen", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				return source.Read(ctx, []backlog.Query{q}, nil)[0].Err != nil
			})
			for i := range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				began := time.Now()
				r := source.Read(ctx, []backlog.Query{q}, nil)[0]
				cancel()
				if took := time.Since(began); !errors.Is(r.Err, backlog.ErrUnavailable) || took > 20*time.Second {
					t.Errorf("read %d of a frozen server is %+v after %s", i, r, took)
				}
			}
			n.Thaw(t)
			await(t, source, q, "3 again", func(r backlog.Reading) bool { return r.Ready == 3 })
			n.Stop(t)
			if r := backlogtest.ReadOnce(t, source, q)[0]; !errors.Is(r.Err, backlog.ErrUnavailable) {
				t.Errorf("a dead server reads as %+v", r)
			}
			n.Restart(t)
			r := await(t, source, q, "3 after the restart", func(backlog.Reading) bool { return true })
			if r.Ready != 3 || r.Epoch == before {
				t.Errorf("after a restart the reading is %+v, and the epoch before was %q", r, before)
			}
		})
	}
}

// TestStreamAgain: a stream that was deleted is missing, and one that is made again is another one.
func TestStreamAgain(t *testing.T) {
	t.Parallel()
	n := latest(t)
	c, source := newStreamClient(t, n), openStreams(t, n, nil)
	name := queueName("again")
	q := streamQuery(name, "worker")
	if r := backlogtest.MustRead(t, source, q); !r.Missing {
		t.Errorf("a stream that does not exist reads as %+v", r)
	}
	c.declare(t, name, nil)
	c.publish(t, name, 9, 10)
	c.process(t, name, "worker", 9)
	before := backlogtest.MustRead(t, source, q)
	if before.Ready != 0 {
		t.Fatalf("a stream that was processed reads as %+v", before)
	}
	n.Do(t, http.MethodDelete, "/api/queues/%2F/"+name, nil)
	c.declare(t, name, nil)
	c.publish(t, name, 3, 10)
	// It was not read while it was missing, so that it looks shorter. That is verified first.
	r := await(t, source, q, "3", func(backlog.Reading) bool { return true })
	if r.Ready != 3 || r.Epoch == before.Epoch {
		t.Errorf("the stream that was made again reads as %+v, and the one before had the epoch %q", r, before.Epoch)
	}
	n.Do(t, http.MethodDelete, "/api/queues/%2F/"+name, nil)
	await(t, source, q, "missing again", func(r backlog.Reading) bool { return r.Missing })
}

// TestStreamRetention: what retention has deleted does not count.
func TestStreamRetention(t *testing.T) {
	t.Parallel()
	for _, version := range streamVersions(t) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			n := node(t, version)
			c, source := newStreamClient(t, n), openStreams(t, n, nil)
			name := queueName("retained")
			q := streamQuery(name, "worker")
			c.declare(t, name, client.NewStreamOptions().SetMaxLengthBytes(client.ByteCapacity{}.KB(200)).SetMaxSegmentSizeBytes(client.ByteCapacity{}.KB(50)))
			c.publish(t, name, 10, 100)
			c.process(t, name, "worker", 1)
			const published = 4000
			c.publish(t, name, published, 1000)
			await(t, source, q, "messages were deleted", func(r backlog.Reading) bool { return r.Ready < published/2 })
			// The server may have forgotten the offset with the messages. A consumer that begins at the first
			// offset that is left has as many before it. Retention may go on, so that both are asked for at once.
			both := backlogtest.Read(t, source, q, streamQuery(name, "other"))
			below, first := both[0], both[1]
			if r := below.Reading; below.Err != nil || r.Ready == 0 || r.Ready >= published/2 || r.Quality == backlog.LowerBound {
				t.Errorf("what is left of the messages reads as %+v", below)
			}
			if first.Err != nil || first.Reading.Ready != below.Reading.Ready {
				t.Errorf("all that is left reads as %+v, and the lag of a consumer below it as %+v", first, below)
			}
		})
	}
}

// TestSuperStream: its partitions are streams, which a list or a pattern names.
func TestSuperStream(t *testing.T) {
	t.Parallel()
	n := latest(t)
	c, source := newStreamClient(t, n), openStreams(t, n, nil)
	super := queueName("super")
	if err := c.environment.DeclareSuperStream(super, client.NewPartitionsOptions(3)); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 3)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", super, i)
		c.publish(t, names[i], 10*(i+1), 10)
	}
	c.process(t, names[2], "worker", 29)
	for what, q := range map[string]backlog.Query{"list": streamQuery(strings.Join(names, ","), "worker"), "pattern": streamQuery(super+"-*", "worker")} {
		r := await(t, source, q, what, func(r backlog.Reading) bool { return len(r.Parts) == 3 })
		if r.Ready != 31 || r.Missing || r.Parts[2].Reading.Ready != 1 {
			t.Errorf("%s: 10, 20 and 1 read as %+v", what, r)
		}
	}
	queue := backlog.Query{Layout: "queue", Queue: super + "-*"}
	if r := await(t, source, queue, "no queues", func(backlog.Reading) bool { return true }); !r.Missing || !strings.Contains(r.Warning, "streams match") {
		t.Errorf("as queues they read as %+v", r)
	}
}

// TestOldServer: what 3.10 does not answer is an error that says so.
func TestOldServer(t *testing.T) {
	t.Parallel()
	for _, version := range rabbitmqtest.Versions(t) {
		if version != "3.10" {
			continue
		}
		r := backlogtest.Read(t, openStreams(t, node(t, version), nil), streamQuery("any", "worker"))[0]
		if !errors.Is(r.Err, backlog.ErrMismatch) || !strings.Contains(r.Err.Error(), "want 3.11 or later") {
			t.Errorf("a stream of %s reads as %+v", version, r)
		}
	}
}

// TestManyStreams: triggers of many streams take few round trips over two connections, and one stream that is
// asked for by many consumers is asked for its bounds once.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	n := rabbitmqtest.Start(t, rabbitmqtest.Versions(t)[0], 1, nil).Nodes[0]
	c := newStreamClient(t, n)
	proxy := backlogtest.NewProxy(t, n.Stream)
	source := backlogtest.Open(t, rabbitmq.Engine(), settings(n, n.Address, map[string]any{
		"streamAddresses": []string{proxy.Addr()}, "answerTimeout": rabbitmqtest.Patience, "managementURL": nil,
	}))
	const streams, consumers = 100, 20
	prefix := queueName("many")
	var queries []backlog.Query
	for i := range streams {
		name := fmt.Sprintf("%s-%d", prefix, i)
		c.declare(t, name, nil)
		for j := range consumers {
			queries = append(queries, streamQuery(name, fmt.Sprintf("worker-%d", j)))
		}
	}
	for i := range 10 {
		c.publish(t, fmt.Sprintf("%s-%d", prefix, i), i+1, 10)
	}
	for range 2 {
		began := time.Now()
		for i, r := range backlogtest.Read(t, source, queries...) {
			want := int64(i/consumers + 1)
			if i/consumers >= 10 {
				want = 0
			}
			if r.Err != nil || r.Reading.Ready != want {
				t.Fatalf("query %d reads as %+v, want %d", i, r, want)
			}
		}
		t.Logf("%d queries of %d streams took %s", len(queries), streams, time.Since(began))
	}
	if connections := proxy.Connections(); connections != 2 {
		t.Errorf("%d connections, want one for the node and one for the leaders", connections)
	}
}
