package kafka_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
)

// transact writes n messages in a transaction. It ends it, unless end is nil.
func transact(t testing.TB, client *kafkatest.Client, topic string, n int, end *kgo.TransactionEndTry) {
	t.Helper()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	client.Produce(t, topic, 0, n)
	if end == nil {
		return
	}
	if err := client.EndTransaction(t.Context(), *end); err != nil {
		t.Fatal(err)
	}
}

// transactions: markers of transactions are no messages. KEDA reports lag 1 for ever for a consumer
// that commits the offset after its last message.
func transactions(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 0)
	client := f.Client(t, kgo.TransactionalID(f.names.next("transaction")))
	source := f.open(t, nil)
	committed, uncommitted := query(topic, group, "isolationLevel", "readCommitted"), query(topic, group)
	f.client.Commit(t, group, topic, 0, 0)

	transact(t, client, topic, 3, nil)
	for q, want := range map[backlog.Query]int64{committed: 0, uncommitted: 3} {
		if r := backlogtest.MustRead(t, source, q); r.Backlog() != want {
			t.Errorf("3 messages of an open transaction read as %+v, want %d", r, want)
		}
	}
	// The end of the transaction wakes those that waited for it.
	wakeups := backlogtest.Listen(t, source)
	backlogtest.Arm(t, source, wakeups, committed)
	if err := client.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	wakeups.Await(t, committed)
	for _, q := range []backlog.Query{committed, uncommitted} {
		// The marker counts while nothing tells it from a message.
		eventually(t, source, q, wantBacklog(4))
	}
	f.client.Commit(t, group, topic, 0, 3)
	for _, q := range []backlog.Query{committed, uncommitted} {
		eventually(t, source, q, wantBacklog(0))
		if r := backlogtest.MustRead(t, source, q); r.Warning != "" || r.Quality != backlog.Exact {
			t.Errorf("a marker alone reads as %+v", r)
		}
	}
	// One that is aborted leaves messages that only some consumers get.
	abort := kgo.TryAbort
	transact(t, client, topic, 2, &abort)
	// The broker writes the marker when it has time.
	eventually(t, source, uncommitted, wantBacklog(4))
	eventually(t, source, committed, wantBacklog(0))
	// A message after all is one.
	commit := kgo.TryCommit
	transact(t, client, topic, 1, &commit)
	eventually(t, source, committed, func(r backlog.Result) error {
		if r.Err == nil && r.Reading.Backlog() == 0 {
			return errors.New("a message after markers does not count")
		}
		return r.Err
	})
}

// unreadMarkers: without READ a marker cannot be seen, so it counts, and the reading says so.
func unreadMarkers(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 0)
	client := f.Client(t, kgo.TransactionalID(f.names.next("transaction")))
	commit := kgo.TryCommit
	transact(t, client, topic, 3, &commit)
	f.client.Commit(t, group, topic, 0, 3)
	f.allow(t, topic, group, false)
	source := f.login(t, nil)
	eventually(t, source, query(topic, group), func(r backlog.Result) error {
		if err := wantBacklog(1)(r); err != nil {
			return err
		}
		if !strings.Contains(r.Reading.Warning, "may be markers of transactions") || r.Reading.Quality != backlog.UpperBound {
			return errNoWarning
		}
		return nil
	})
	status := source.Status()
	if !strings.Contains(status.WakeUpReason, topic) {
		t.Errorf("without READ the status is %+v", status)
	}
	f.allow(t, topic, group, true)
}
