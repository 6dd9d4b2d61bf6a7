package sqs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
)

// TestCounts: what can be received and what is in flight counts; what is delayed counts if the trigger says
// so. A worker that dies gives back what it had.
func TestCounts(t *testing.T) {
	t.Parallel()
	server := one(t)
	client, source := server.NewClient(), open(t, server, nil)
	name := queueName("counts")
	client.Create(t, name, nil)
	client.Send(t, name, 4, 0)
	client.Send(t, name, 2, 900)
	plain := query(name)
	delayed := query(name)
	delayed.Params = backlog.NewParams(map[string]string{"countDelayed": "true"})
	if r := backlogtest.MustRead(t, source, plain); r.Ready != 4 || r.Due != 0 || r.Quality != backlog.LowerBound {
		t.Errorf("four messages and two delayed ones read as %+v", r)
	}
	if r := backlogtest.MustRead(t, source, delayed); r.Ready != 4 || r.Due != 2 {
		t.Errorf("with countDelayed they read as %+v", r)
	}
	handles := client.Receive(t, name, 3)
	if r := backlogtest.MustRead(t, source, plain); r.Ready != 1 || r.InFlight != backlog.Exactly(3) {
		t.Errorf("three of four in flight read as %+v", r)
	}
	client.Delete(t, name, handles[:1]...)
	client.Release(t, name, handles[1:]...)
	if r := backlogtest.MustRead(t, source, plain); r.Ready != 3 || r.InFlight != backlog.Exactly(0) {
		t.Errorf("one deleted and two given back read as %+v", r)
	}
}

// TestNames: a name, an ARN and a URL are the same queue.
func TestNames(t *testing.T) {
	t.Parallel()
	server := one(t)
	client, source := server.NewClient(), open(t, server, nil)
	name := queueName("names")
	client.Create(t, name, nil)
	client.Send(t, name, 3, 0)
	ofAccount := query(name)
	ofAccount.Params = backlog.NewParams(map[string]string{"accountID": sqstest.Account})
	for _, q := range []backlog.Query{query(name), ofAccount, query("arn:aws:sqs:" + sqstest.Region + ":" + sqstest.Account + ":" + name), query(client.URL(name))} {
		if r := backlogtest.MustRead(t, source, q); r.Ready != 3 || r.Epoch == "" {
			t.Errorf("%s reads as %+v, want 3", q.Queue, r)
		}
	}
}

// TestGroups: a FIFO queue is worth as many workers as the trigger says that it has groups.
func TestGroups(t *testing.T) {
	t.Parallel()
	server := one(t)
	client, source := server.NewClient(), open(t, server, nil)
	name := queueName("groups") + ".fifo"
	client.Create(t, name, map[string]string{"FifoQueue": "true"})
	client.Send(t, name, 5, 0)
	q := query(name)
	q.Params = backlog.NewParams(map[string]string{"messageGroups": "2"})
	if r := backlogtest.MustRead(t, source, q); r.Ready != 5 || r.MaxUseful != 2 {
		t.Errorf("five messages of two groups read as %+v", r)
	}
}

// TestMadeAgain: a queue that was deleted is missing, and one that is made again is another one.
func TestMadeAgain(t *testing.T) {
	t.Parallel()
	server := sqstest.Start(t)
	client, source := server.NewClient(), open(t, server, nil)
	name := queueName("again")
	client.Create(t, name, nil)
	client.Send(t, name, 2, 0)
	before := backlogtest.MustRead(t, source, query(name))
	server.Restart(t)
	if r := backlogtest.MustRead(t, source, query(name)); !r.Missing {
		t.Errorf("a queue of a server that lost its data reads as %+v", r)
	}
	for deadline := time.Now().Add(sqstest.Patience); ; time.Sleep(100 * time.Millisecond) {
		client.Create(t, name, nil)
		r := backlogtest.MustRead(t, source, query(name))
		if r.Epoch != before.Epoch && !r.Missing && r.Backlog() == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("made again it reads as %+v, and before as %+v", r, before)
		}
	}
}

// TestFrozenServer: a server that does not answer is an error for all queues, after the time of one call.
func TestFrozenServer(t *testing.T) {
	t.Parallel()
	server := sqstest.Start(t)
	client := server.NewClient()
	source := open(t, server, map[string]any{"answerTimeout": 300 * time.Millisecond})
	name := queueName("frozen")
	client.Create(t, name, nil)
	client.Send(t, name, 7, 0)
	q := query(name)
	if r := backlogtest.MustRead(t, source, q); r.Ready != 7 {
		t.Fatalf("seven messages read as %+v", r)
	}
	server.Freeze(t)
	began := time.Now()
	// Others on the connection do not wait for their own time-out.
	many := make([]backlog.Query, 50)
	for i := range many {
		many[i] = query(queueName("other"))
	}
	for _, r := range backlogtest.ReadOnce(t, source, append(many, q)...) {
		if !errors.Is(r.Err, backlog.ErrUnavailable) {
			t.Errorf("a frozen server: %+v", r)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the read of 51 queues took %s", took)
	}
	server.Thaw(t)
	eventually(t, "it is read again", func() bool {
		r := backlogtest.Read(t, source, q)[0]
		return r.Err == nil && r.Reading.Ready == 7
	})
}
