package e2e_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/prometheus/prometheustest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// redisList is a list.
func redisList(server *redisserver.Server) *broker {
	return &broker{
		theirs: func(queue string) map[string]string {
			return map[string]string{"address": server.Address(), "listName": queue, "listLength": "5"}
		},
		create: func(*testing.T, string) {},
		write:  func(t *testing.T, queue string, n int) { t.Helper(); check(t, server.Push(t.Context(), queue, n)) },
		drain:  func(t *testing.T, queue string) { t.Helper(); check(t, server.Drain(t.Context(), queue)) },
	}
}

// redisStream is a stream. The key of the target says what KEDA counts.
func redisStream(server *redisserver.Server, key string) *broker {
	client := server.Client()
	const group = "workers"
	var held []string
	b := &broker{
		builtin: "redis-streams",
		theirs: func(queue string) map[string]string {
			metadata := map[string]string{"address": server.Address(), "stream": queue, "consumerGroup": group, key: "5"}
			if key == "streamLength" {
				delete(metadata, "consumerGroup")
			}
			return metadata
		},
		create: func(t *testing.T, queue string) {
			t.Helper()
			check(t, client.XGroupCreateMkStream(t.Context(), queue, group, "0").Err())
		},
		write: func(t *testing.T, queue string, n int) {
			t.Helper()
			for range n {
				check(t, client.XAdd(t.Context(), &redis.XAddArgs{Stream: queue, Values: []string{"a", "b"}}).Err())
			}
		},
		deliver: func(t *testing.T, queue string, n int) {
			t.Helper()
			read, err := client.XReadGroup(t.Context(), &redis.XReadGroupArgs{Group: group, Consumer: "worker", Streams: []string{queue, ">"}, Count: int64(n)}).Result()
			check(t, err)
			for _, message := range read[0].Messages {
				held = append(held, message.ID)
			}
		},
		acknowledge: func(t *testing.T, queue string, n int) {
			t.Helper()
			check(t, client.XAck(t.Context(), queue, group, held[:n]...).Err())
			held = slices.Delete(held, 0, n)
		},
	}
	b.drain = func(t *testing.T, queue string) {
		t.Helper()
		b.deliver(t, queue, 1000)
		check(t, client.XAck(t.Context(), queue, group, held...).Err())
		check(t, client.XTrimMaxLen(t.Context(), queue, 0).Err())
	}
	return b
}

// redisCluster is a list in a Cluster.
func redisCluster(t *testing.T) *broker {
	t.Helper()
	cluster := redistest.StartCluster(t, 3, 0)
	return &broker{
		builtin: "redis-cluster",
		theirs: func(queue string) map[string]string {
			return map[string]string{"addresses": strings.Join(cluster.Addrs(), ","), "listName": queue, "listLength": "5"}
		},
		create: func(*testing.T, string) {},
		write: func(t *testing.T, queue string, n int) {
			t.Helper()
			for range n {
				cluster.Do(t, "LPUSH", queue, "a message")
			}
		},
		drain: func(t *testing.T, queue string) { t.Helper(); cluster.Do(t, "DEL", queue) },
	}
}

// measuredNumber is a series of Prometheus.
func measuredNumber(t *testing.T) *broker {
	t.Helper()
	server := prometheustest.Start(t)
	set := func(t *testing.T, queue string, n int) {
		t.Helper()
		server.Set(t, "jobs{queue=\""+queue+"\"}", float64(n))
	}
	return &broker{
		theirs: func(queue string) map[string]string {
			return map[string]string{"serverAddress": server.URL, "query": "sum(jobs{queue=\"" + queue + "\"})", "threshold": "5", "ignoreNullValues": "false"}
		},
		create: func(t *testing.T, queue string) { t.Helper(); set(t, queue, 0) },
		write:  set,
		drain:  func(t *testing.T, queue string) { t.Helper(); set(t, queue, 0) },
	}
}

// rabbitOverHTTP is a queue for which KEDA asks the management API.
func rabbitOverHTTP(t *testing.T) *broker {
	t.Helper()
	b := startRabbitMQ(t)
	b.theirs = func(queue string) map[string]string {
		host, err := url.Parse(b.connection.ManagementURL)
		check(t, err)
		host.User, host.Path = url.UserPassword(rabbitmqtest.Username, rabbitmqtest.Password), "/"
		return map[string]string{"host": host.String(), "protocol": "http", "queueName": queue, "mode": "QueueLength", "value": "5"}
	}
	return b
}

// newGroup is a topic and a consumer group that has committed nothing.
func newGroup(t *testing.T) *broker {
	t.Helper()
	b := startKafka(t)
	theirs := b.theirs
	b.theirs = func(queue string) map[string]string {
		metadata := theirs(queue)
		metadata["consumerGroup"], metadata["offsetResetPolicy"] = queue+"-new", "latest"
		return metadata
	}
	return b
}
