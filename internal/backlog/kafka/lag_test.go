package kafka_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// topic creates a topic with messages in each partition, and returns its name and that of a group.
func (f *fixture) topic(t testing.TB, perPartition ...int) (topic, group string) {
	t.Helper()
	topic, group = f.names.next("topic"), f.names.next("group")
	f.client.CreateTopic(t, topic, int32(len(perPartition)), nil)
	for i, n := range perPartition {
		if n > 0 {
			f.client.Produce(t, topic, int32(i), n)
		}
	}
	return topic, group
}

func (f *fixture) open(t testing.TB, more map[string]any) backlog.Source {
	t.Helper()
	return backlogtest.Open(t, kafka.Engine(), connection(f.Addrs(), more))
}

// eventually reads a query until check returns nil.
func eventually(t testing.TB, source backlog.Source, q backlog.Query, check func(backlog.Result) error) {
	t.Helper()
	err := childprocess.Poll(t.Context(), q.String(), patience, 50*time.Millisecond, func(context.Context) error {
		return check(backlogtest.Read(t, source, q)[0]) //nolint:contextcheck // a read has a bound of its own
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantBacklog checks a backlog.
func wantBacklog(n int64) func(backlog.Result) error {
	return func(r backlog.Result) error {
		switch {
		case r.Err != nil:
			return r.Err
		case r.Reading.Backlog() != n:
			return errors.New("the reading has another backlog than wanted: " + strings.TrimSpace(r.Reading.Warning) + " " + r.Reading.Quality.String())
		default:
			return nil
		}
	}
}

// missingOffsets: a group without committed offsets. KEDA reports 1 for each partition with its default
// "latest", or 0, and its trigger for segmentio's library takes the offset for 0, so that messages count
// that retention has deleted.
func missingOffsets(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 3, 0, 5)
	source := f.open(t, nil)
	for _, c := range []struct {
		missing string
		backlog int64
		quality backlog.Quality
		err     error
		warning string
	}{
		{missing: "", backlog: 8, quality: backlog.UpperBound, warning: "has committed no offset in partitions 0, 1, 2: all that is there counts"},
		{missing: "earliest", backlog: 8, quality: backlog.UpperBound, warning: "all that is there counts"},
		{missing: "latest", warning: "what is there does not count"},
		{missing: "error", err: backlog.ErrMismatch},
	} {
		r := backlogtest.Read(t, source, query(topic, group, "missingOffset", c.missing))[0]
		switch {
		case !errors.Is(r.Err, c.err):
			t.Errorf("missingOffset %q reads as %+v, want %v", c.missing, r, c.err)
		case c.err == nil && (r.Reading.Backlog() != c.backlog || r.Reading.Quality != c.quality || !strings.Contains(r.Reading.Warning, c.warning)):
			t.Errorf("missingOffset %q reads as %+v, want %+v", c.missing, r.Reading, c)
		}
	}
	// One partition without an offset does not hide the others.
	f.client.Commit(t, group, topic, 0, 1)
	f.client.Commit(t, group, topic, 1, 0)
	if r := backlogtest.MustRead(t, source, query(topic, group, "missingOffset", "latest")); r.Backlog() != 2 {
		t.Errorf("2 after a committed offset and 5 without one read as %+v", r)
	}
	if r := backlogtest.Read(t, source, query(topic, group, "missingOffset", "error"))[0]; r.Err == nil || !strings.Contains(r.Err.Error(), "partition 2") {
		t.Errorf("a partition without an offset reads as %+v", r)
	}
	f.client.Commit(t, group, topic, 2, 5)
	if r := backlogtest.MustRead(t, source, query(topic, group, "missingOffset", "error")); r.Backlog() != 2 || r.Quality != backlog.Exact || r.Warning != "" {
		t.Errorf("2 after committed offsets read as %+v", r)
	}
}

// retention: messages that were deleted before the group read them do not count. KEDA counts them.
func retention(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 100)
	f.client.Commit(t, group, topic, 0, 10)
	source := f.open(t, nil)
	if r := backlogtest.MustRead(t, source, query(topic, group)); r.Backlog() != 90 {
		t.Errorf("90 of 100 read as %+v", r)
	}
	offsets := make(kadm.Offsets)
	offsets.AddOffset(topic, 0, 40, -1)
	if _, err := f.client.Admin.DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	eventually(t, source, query(topic, group), wantBacklog(60))
	if r := backlogtest.MustRead(t, source, query(topic, "none")); r.Backlog() != 60 {
		t.Errorf("60 that are left read as %+v for a group without an offset", r)
	}
}

// resets: a group that goes back has more before it, one that goes forward less, and an offset beyond
// the end, which KEDA subtracts from the other partitions' lag, is none of this topic.
func resets(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 10, 10)
	source := f.open(t, nil)
	f.client.Commit(t, group, topic, 0, 10)
	f.client.Commit(t, group, topic, 1, 10)
	if r := backlogtest.MustRead(t, source, query(topic, group)); r.Backlog() != 0 {
		t.Errorf("a group at the end reads as %+v", r)
	}
	f.client.Commit(t, group, topic, 0, 2)
	if r := backlogtest.MustRead(t, source, query(topic, group)); r.Backlog() != 8 || r.MaxUseful != 1 {
		t.Errorf("a group that went back by 8 reads as %+v", r)
	}
	f.client.Commit(t, group, topic, 1, 500)
	for missing, want := range map[string]int64{"earliest": 18, "latest": 8} {
		r := backlogtest.MustRead(t, source, query(topic, group, "missingOffset", missing))
		if r.Backlog() != want || !strings.Contains(r.Warning, "no offset in partition 1") {
			t.Errorf("an offset beyond the end reads as %+v with %s, want %d", r, missing, want)
		}
	}
}

// useful: more consumers than partitions with messages do not help. KEDA compares with a whole number
// of replicas, so that 39 messages at 10 for each replica are 4 replicas for 3 partitions.
func useful(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 13, 13, 13, 0)
	for i := range 4 {
		f.client.Commit(t, group, topic, int32(i), 0)
	}
	source := f.open(t, nil)
	r := backlogtest.MustRead(t, source, query(topic, group))
	if r.Backlog() != 39 || r.MaxUseful != 3 {
		t.Errorf("13 in each of 3 of 4 partitions read as %+v", r)
	}
	if want := backlog.Exactly(39); r.Enqueued != want || r.Dequeued != backlog.Exactly(0) || !r.Passed.Known {
		t.Errorf("39 that were written read as %+v", r)
	}
	f.ack(t, query(topic, group), 39)
	if r = backlogtest.MustRead(t, source, query(topic, group)); r.Backlog() != 0 || r.MaxUseful != 4 || r.Dequeued != backlog.Exactly(39) {
		t.Errorf("a group that has read 4 partitions reads as %+v", r)
	}
	other, _ := f.topic(t, 1)
	f.client.Commit(t, group, other, 0, 0)
	if r = backlogtest.MustRead(t, source, query(topic+","+other, group)); r.Backlog() != 1 || r.MaxUseful != 1 {
		t.Errorf("1 in one of two topics reads as %+v", r)
	}
}

// stuck: a lag that does not change from one read to the next stays, however often it is read. With
// excludePersistentLag KEDA takes it for one of a stuck consumer, and drops it after two calls.
func stuck(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 7, 5)
	f.client.Commit(t, group, topic, 0, 0)
	f.client.Commit(t, group, topic, 1, 0)
	source := f.open(t, nil)
	for i := range 5 {
		if r := backlogtest.MustRead(t, source, query(topic, group)); r.Backlog() != 12 || r.MaxUseful != 2 {
			t.Errorf("read %d of 12 messages in 2 partitions is %+v", i, r)
		}
	}
}

// otherTopics: topics that a trigger does not name count nothing, whether the group has offsets there
// or not. Without a topic KEDA's trigger for segmentio's library adds 1 for each partition of each
// topic of the cluster.
func otherTopics(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 4)
	consumed, _ := f.topic(t, 9, 9)
	f.topic(t, 3, 3, 3)
	f.client.Commit(t, group, topic, 0, 1)
	f.client.Commit(t, group, consumed, 0, 0)
	source := f.open(t, nil)
	if r := backlogtest.MustRead(t, source, query(topic, group)); r.Backlog() != 3 {
		t.Errorf("3 of the topic read as %+v", r)
	}
	// The group has read one of the two partitions of the other topic.
	if r := backlogtest.MustRead(t, source, query(topic+","+consumed, group, "missingOffset", "latest")); r.Backlog() != 12 {
		t.Errorf("3 of one topic and 9 of another read as %+v", r)
	}
}

// recreated: a topic that is deleted is missing, and another one of its name has another epoch.
func recreated(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 7)
	source := f.open(t, nil)
	f.client.Commit(t, group, topic, 0, 3)
	before := backlogtest.MustRead(t, source, query(topic, group))
	if before.Backlog() != 4 || before.Epoch == "" {
		t.Fatalf("4 of 7 read as %+v", before)
	}
	if _, err := f.client.Admin.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	eventually(t, source, query(topic, group), func(r backlog.Result) error {
		if r.Err != nil || !r.Reading.Missing {
			return errors.New("the deleted topic is not missing")
		}
		return nil
	})
	f.client.CreateTopic(t, topic, 1, nil)
	f.client.PurgeTopicsFromClient(topic)
	f.client.Produce(t, topic, 0, 2)
	eventually(t, source, query(topic, group), wantBacklog(2))
	if after := backlogtest.MustRead(t, source, query(topic, group)); after.Epoch == before.Epoch || after.Missing {
		t.Errorf("another topic of the same name reads as %+v, want another epoch than %q", after, before.Epoch)
	}
}

// partitions: new partitions count, and what is written to them wakes.
func partitions(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 1)
	f.client.Commit(t, group, topic, 0, 1)
	source := f.open(t, nil)
	wakeups := backlogtest.Listen(t, source)
	q := query(topic, group)
	backlogtest.Arm(t, source, wakeups, q)
	if _, err := f.client.Admin.CreatePartitions(t.Context(), 2, topic); err != nil {
		t.Fatal(err)
	}
	f.client.AwaitPartitions(t, topic, 3)
	f.client.PurgeTopicsFromClient(topic)
	f.client.Produce(t, topic, 2, 4)
	wakeups.Await(t, q)
	eventually(t, source, q, wantBacklog(4))
	if r := backlogtest.MustRead(t, source, q); r.MaxUseful != 1 {
		t.Errorf("4 in a new partition read as %+v", r)
	}
}

// patterns: topics that match are read as one, a new one is found, and those of Kafka itself are not
// meant.
func patterns(t *testing.T, f *fixture) {
	t.Helper()
	prefix, group := f.names.next("match"), f.names.next("group")
	for _, name := range []string{"-a", "-b"} {
		f.client.CreateTopic(t, prefix+name, 1, nil)
		f.client.Produce(t, prefix+name, 0, 2)
	}
	source := f.open(t, nil)
	wakeups := backlogtest.Listen(t, source)
	q := query(prefix+"-*", group)
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 4 || len(r.Parts) != 2 {
		t.Errorf("2 in each of 2 topics read as %+v", r)
	}
	backlogtest.Arm(t, source, wakeups, q)
	f.client.CreateTopic(t, prefix+"-c", 1, nil)
	f.client.Produce(t, prefix+"-c", 0, 1)
	wakeups.Await(t, q)
	eventually(t, source, q, wantBacklog(5))
	if r := backlogtest.MustRead(t, source, query("*consumer_offset?", group)); len(r.Parts) != 0 || r.Warning == "" {
		t.Errorf("a pattern that only matches a topic of Kafka reads as %+v", r)
	}
}

// ages: the age of the oldest message follows from when the end was where the group is.
func ages(t *testing.T, f *fixture) {
	t.Helper()
	topic, group := f.topic(t, 5)
	f.client.Commit(t, group, topic, 0, 0)
	source := f.open(t, nil)
	first := backlogtest.MustRead(t, source, query(topic, group))
	if first.Oldest.Kind != backlog.AgeLowerBound || first.Oldest.Since.After(first.At) {
		t.Errorf("messages from before the first read have age %+v", first.Oldest)
	}
	f.client.Commit(t, group, topic, 0, 5)
	seen := backlogtest.MustRead(t, source, query(topic, group))
	before := time.Now()
	f.client.Produce(t, topic, 0, 2)
	after := time.Now()
	r := backlogtest.MustRead(t, source, query(topic, group))
	if r.Oldest.Kind != backlog.AgeInterpolated || r.Oldest.Since.Before(seen.At.Add(-time.Millisecond)) || r.Oldest.Since.After(r.At) {
		t.Errorf("a message written between %s and %s has age %+v, read at %s", before, after, r.Oldest, r.At)
	}
}
