package kafka_test

import (
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
)

// patience is the bound of answers that are not to reach it.
const patience = time.Minute

func connection(addresses []string, more map[string]any) backlog.Connection {
	settings := map[string]any{"addresses": addresses, "answerTimeout": patience, "dialTimeout": patience}
	maps.Copy(settings, more)
	return backlog.Connection{Name: "events", Engine: "kafka", Settings: backlog.NewSettings(settings)}
}

// names counts the topics and groups of all tests.
type names struct{ n atomic.Int64 }

func (n *names) next(prefix string) string { return fmt.Sprintf("%s-%d", prefix, n.n.Add(1)) }

// query returns the query of a topic and a consumer group, with further parameters as pairs.
func query(topic, group string, more ...string) backlog.Query {
	params := map[string]string{"consumerGroup": group}
	for i := 0; i < len(more); i += 2 {
		params[more[i]] = more[i+1]
	}
	return backlog.Query{Layout: "topic", Queue: topic, Params: backlog.NewParams(params)}
}

func group(q backlog.Query) string { return q.Params.Get("consumerGroup") }

// A fixture is a cluster of one broker that the tests of a version share.
type fixture struct {
	*kafkatest.Cluster

	client *kafkatest.Client
	names  names
}

// TestKafka holds the engine to the conformance suite and to its own promises, on a broker of each
// version.
func TestKafka(t *testing.T) {
	t.Parallel()
	for _, version := range []kafkatest.Version{kafkatest.V44, kafkatest.V39} {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			cluster := kafkatest.Start(t, version, 1)
			f := &fixture{Cluster: cluster, client: cluster.Client(t)}
			for name, test := range map[string]func(*testing.T, *fixture){
				"conformance":     conformance,
				"missing offsets": missingOffsets,
				"retention":       retention,
				"resets":          resets,
				"useful":          useful,
				"stuck":           stuck,
				"other topics":    otherTopics,
				"recreated":       recreated,
				"partitions":      partitions,
				"patterns":        patterns,
				"ages":            ages,
				"transactions":    transactions,
				"unread markers":  unreadMarkers,
				"logins":          logins,
				"rights":          rights,
				"consumers":       consumers,
				"shares":          shares,
				"java clients":    javaClients,
				"librdkafka":      librdkafka,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, f)
				})
			}
		})
	}
}

func conformance(t *testing.T, f *fixture) {
	t.Helper()
	cases := []backlogtest.Case{f.classic()}
	if f.Version != kafkatest.V39 {
		cases = append(cases, f.shared())
	}
	for _, way := range []string{"fetch", "poll"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			backlogtest.Exercise(t, backlogtest.Harness{
				Engine:  kafka.EngineThrough(),
				Address: f.Addr(),
				Connection: func(address string) backlog.Connection {
					return connection([]string{address}, map[string]any{"wakeUp": way})
				},
				Cases: cases,
				Wakes: way == "fetch",
			})
		})
	}
}

// classic is the case of a topic of three partitions, from which a group takes in order.
func (f *fixture) classic() backlogtest.Case {
	const partitions = 3
	return backlogtest.Case{
		Name:        "consumer group",
		EmptyExists: true,
		Query: func(testing.TB) backlog.Query {
			return query(f.names.next("topic"), f.names.next("group"))
		},
		Add: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			ends := f.ends(t, q.Queue)
			if len(ends) == 0 {
				f.client.CreateTopic(t, q.Queue, partitions, nil)
			}
			for i := range n {
				f.client.Produce(t, q.Queue, int32(i%partitions), 1)
			}
		},
		Ack: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			f.ack(t, q, n)
		},
	}
}

// shared is the case of a topic of one partition. Its share group acknowledges in order.
func (f *fixture) shared() backlogtest.Case {
	return backlogtest.Case{
		Name:        "share group",
		EmptyExists: true,
		Query: func(testing.TB) backlog.Query {
			return shareQuery(f.names.next("topic"), f.names.next("share"))
		},
		Add: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			if len(f.ends(t, q.Queue)) == 0 {
				f.client.CreateTopic(t, q.Queue, 1, nil)
				f.shareFrom(t, q, 0)
			}
			f.client.Produce(t, q.Queue, 0, n)
		},
		Ack: func(t testing.TB, q backlog.Query, n int) {
			t.Helper()
			f.shareFrom(t, q, f.shareStart(t, q)+int64(n))
		},
	}
}

// ends returns the ends of the partitions of a topic; nil if it does not exist.
func (f *fixture) ends(t testing.TB, topic string) map[int32]int64 {
	t.Helper()
	listed, err := f.client.Admin.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends := make(map[int32]int64)
	for partition, end := range listed[topic] {
		if end.Err == nil {
			ends[partition] = end.Offset
		}
	}
	return ends
}

// ack commits n more messages for the group of a query.
func (f *fixture) ack(t testing.TB, q backlog.Query, n int) {
	t.Helper()
	offsets, err := f.client.Admin.FetchOffsets(t.Context(), group(q))
	if err != nil {
		t.Fatal(err)
	}
	for partition, end := range f.ends(t, q.Queue) {
		committed, _ := offsets.Lookup(q.Queue, partition)
		took := min(int64(n), end-max(0, committed.At))
		f.client.Commit(t, group(q), q.Queue, partition, max(0, committed.At)+took)
		n -= int(took)
	}
}
