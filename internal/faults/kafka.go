package faults

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// kafkaGroup is the consumer group of the topic "jobs".
const kafkaGroup = "workers"

// kafkaPartitions is how many partitions the topic has: with a target of 10 their number limits no value.
const kafkaPartitions = 3

// brokers are those of a cluster with a topic.
type brokers struct {
	servers *kafkatest.Cluster
	client  *kafkatest.Client
	secret  *secret
	// written is how many messages were written.
	written int
}

// kafkaBrokers starts a cluster of so many brokers.
func kafkaBrokers(n int) func(testing.TB) *Subject {
	return func(t testing.TB) *Subject {
		t.Helper()
		return newKafkaBrokers(t, n)
	}
}

func newKafkaBrokers(t testing.TB, n int) *Subject {
	t.Helper()
	s := &Subject{Metadata: map[string]string{"topic": "jobs", "consumerGroup": kafkaGroup, "target": "10"}, Garbage: "\x7f\xff\xff\xff\x00\x00\x00\x01"}
	var addresses []string
	for range n {
		// It learns its target when the broker has started.
		proxy := backlogtest.NewProxy(t, "127.0.0.1:1")
		s.Proxies, addresses = append(s.Proxies, proxy), append(addresses, proxy.Addr())
	}
	b := &brokers{servers: kafkatest.Start(t, kafkatest.V44, n, kafkatest.BehindProxies(addresses...), kafkatest.ProxiedLogin()), secret: newSecret(t)}
	for i, target := range b.servers.ProxiedAddrs() {
		s.Proxies[i].Redirect(target)
	}
	s.Title = titled("Kafka "+string(b.servers.Version), n, "brokers")
	b.client = b.servers.Client(t)
	b.setPassword(t)
	b.grant(t)
	b.create(t)
	s.Connection = func() []string {
		return append(b.secret.login(), addressList(addresses...), "saslMechanism: SCRAM-SHA-256")
	}
	s.Put = func(t testing.TB, n int) {
		t.Helper()
		for range n {
			b.written++
			b.client.Produce(t, "jobs", int32(b.written%kafkaPartitions), 1)
		}
	}
	s.Causes = b.causes(s)
	if n > 1 {
		s.Causes = map[Fault]Cause{Failover: func(t testing.TB) func() {
			t.Helper()
			old := b.client.Leader(t, "jobs", 0)
			b.servers.Broker(old).Kill()
			return func() {
				await(t, "another broker leads", func() bool { return b.client.Leader(t, "jobs", 0) != old })
				b.client.AwaitPartitions(t, "jobs", kafkaPartitions)
			}
		}}
	}
	return s
}

// create creates the topic, whose group has committed nothing but the beginning.
func (b *brokers) create(t testing.TB) {
	t.Helper()
	b.client.CreateTopic(t, "jobs", kafkaPartitions, nil)
	for p := range int32(kafkaPartitions) {
		b.client.Commit(t, kafkaGroup, "jobs", p, 0)
	}
}

func (b *brokers) causes(s *Subject) map[Fault]Cause {
	one := b.servers.Brokers[0]
	served := func(t testing.TB) {
		t.Helper()
		b.client.AwaitPartitions(t, "jobs", kafkaPartitions)
		b.must(t, "offsets of the group", func(ctx context.Context) error {
			_, err := b.client.Admin.FetchOffsets(ctx, kafkaGroup)
			return err
		})
	}
	return map[Fault]Cause{
		Down: func(t testing.TB) func() {
			t.Helper()
			one.Kill()
			return func() {
				one.Restart(t)
				served(t)
			}
		},
		Frozen: frozen(func() freezer { return one }),
		Emptied: emptied(func(t testing.TB) {
			t.Helper()
			b.must(t, "no topic", func(ctx context.Context) error {
				_, err := b.client.Admin.DeleteTopic(ctx, "jobs")
				return err
			})
			one.Kill()
			one.Restart(t)
			// A producer keeps the id of the former topic for a while.
			b.client = b.servers.Client(t)
			b.create(t)
			served(t)
		}, s.Proxies...),
		Password: func(t testing.TB) func() {
			t.Helper()
			b.secret.change()
			b.setPassword(t)
			// A broker verifies the login of new connections only.
			s.cut()
			return func() { b.secret.write(t) }
		},
		Permission: func(t testing.TB) func() {
			t.Helper()
			b.must(t, "no rights", func(ctx context.Context) error {
				for _, acl := range kafkaRights() {
					if _, err := b.client.Admin.DeleteACLs(ctx, acl); err != nil {
						return err
					}
				}
				return nil
			})
			return func() { b.grant(t) }
		},
	}
}

func (b *brokers) setPassword(t testing.TB) {
	t.Helper()
	b.must(t, "a password", func(ctx context.Context) error {
		answers, err := b.client.Admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{
			User: user, Mechanism: kadm.ScramSha256, Iterations: 4096, Password: b.secret.value(),
		}})
		if err != nil {
			return err
		}
		return answers.Error()
	})
}

// kafkaRights are those of the documentation.
func kafkaRights() []*kadm.ACLBuilder {
	own := func() *kadm.ACLBuilder {
		return kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:" + user).AllowHosts("*")
	}
	return []*kadm.ACLBuilder{
		own().Topics("jobs").Operations(kadm.OpDescribe, kadm.OpRead),
		own().Groups(kafkaGroup).Operations(kadm.OpDescribe),
	}
}

func (b *brokers) grant(t testing.TB) {
	t.Helper()
	b.must(t, "rights", func(ctx context.Context) error {
		for _, acl := range kafkaRights() {
			if _, err := b.client.Admin.CreateACLs(ctx, acl); err != nil {
				return err
			}
		}
		return nil
	})
}

// must repeats do until it succeeds.
func (b *brokers) must(t testing.TB, what string, do func(context.Context) error) {
	t.Helper()
	if err := childprocess.Poll(context.WithoutCancel(t.Context()), what, patience, 100*time.Millisecond, do); err != nil {
		t.Fatal(err)
	}
}
