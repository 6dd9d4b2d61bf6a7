package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	"github.com/redis/go-redis/v9"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqs/sqstest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A move is a queue whose trigger of KEDA is migrated, and both are asked for their values.
type move struct {
	*broker

	queue string
	// announced is what the report says about a difference, and differs are the steps where there may be one.
	announced string
	differs   []string
}

// The steps of a comparison.
const (
	empty        = "empty"
	filled       = "23 messages"
	delivered    = "7 in the hands of workers"
	acknowledged = "3 acknowledged"
	drained      = "drained"
)

// TestMigration migrates KEDA's own triggers, and asks KEDA's own code and the scaler side by side, on the same queues of real
// servers: empty, filled, in the hands of workers, and empty again. No value differs that the report did not announce.
func TestMigration(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", sqstest.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", sqstest.SecretKey)
	root, err := toolchain.Root()
	check(t, err)
	binary, err := toolchain.Cache{Root: root, Progress: os.Stderr}.BuildScaler(t.Context())
	check(t, err)
	logs := filepath.Join(root, ".out", "migration")
	check(t, os.RemoveAll(logs))
	supervisor, ctx, err := childprocess.NewSupervisor(t.Context(), logs)
	check(t, err)
	dir := t.TempDir() // is removed after the servers have ended
	t.Cleanup(supervisor.Close)
	server, err := redisserver.Start(ctx, supervisor, dir, "redis")
	check(t, err)
	t.Cleanup(func() { check(t, server.Close()) })
	for name, start := range map[string]func(*testing.T) move{
		"redis list":          func(*testing.T) move { return move{broker: redisList(server), queue: "mails"} },
		"redis stream lag":    func(*testing.T) move { return move{broker: redisStream(server, "lagCount"), queue: "lag"} },
		"redis stream length": func(*testing.T) move { return move{broker: redisStream(server, "streamLength"), queue: "length"} },
		"redis stream pending": func(*testing.T) move {
			return move{redisStream(server, "pendingEntriesCount"), "pending", "cannot start the first replica", []string{filled, delivered, acknowledged}}
		},
		"kafka":     func(t *testing.T) move { return move{broker: startKafka(t), queue: "mails"} },
		"rabbitmq":  func(t *testing.T) move { return move{broker: startRabbitMQ(t), queue: "mails"} },
		"jetstream": func(t *testing.T) move { return move{broker: startJetStream(t), queue: "mails"} },
		"sqs": func(t *testing.T) move {
			return move{startSQS(t), "mails", "zero is believed after emptyFor", []string{empty, drained}}
		},
		"postgresql": func(t *testing.T) move { return move{broker: startPostgreSQL(t), queue: "mails"} },
		"mysql":      func(t *testing.T) move { return move{broker: startMySQL(t), queue: "mails"} },
	} {
		t.Run(name, func(t *testing.T) {
			m := start(t)
			m.create(t, m.queue)
			engine := strings.Fields(name)[0]
			report, pair := m.migrate(ctx, t, supervisor, scaler.Options{Name: "scaler-" + strings.ReplaceAll(name, " ", "-"), Binary: binary, Dir: dir}, engine)
			if m.announced != "" && !strings.Contains(report, m.announced) {
				t.Fatalf("the report does not say %q:\n%s", m.announced, report)
			}
			m.compare(ctx, t, empty, pair)
			m.write(t, m.queue, 23)
			m.compare(ctx, t, filled, pair)
			if m.deliver != nil {
				m.deliver(t, m.queue, 7)
				m.compare(ctx, t, delivered, pair)
				m.acknowledge(t, m.queue, 3)
				m.compare(ctx, t, acknowledged, pair)
			}
			m.drain(t, m.queue)
			m.compare(ctx, t, drained, pair)
		})
	}
}

// A sideBySide is the same queue as both see it.
type sideBySide struct {
	keda   scalers.Scaler
	scaler *scaler.Scaler
	// metadata is that of the new trigger.
	metadata map[string]string
}

// fillIn is where a password has to be filled in, and noAddresses where addresses have to be.
var (
	fillIn      = regexp.MustCompile(`\{file: FILL-IN\}.*`)
	noAddresses = regexp.MustCompile(`addresses: \[\].*`)
)

// migrate migrates the trigger of KEDA, fills in the gaps as its operator would, and starts a scaler with the result. It
// returns the report too.
func (m move) migrate(ctx context.Context, t *testing.T, supervisor *childprocess.Supervisor, options scaler.Options, engine string) (string, sideBySide) {
	t.Helper()
	trigger := map[string]any{"type": m.trigger(engine), "metadata": m.theirs(m.queue)}
	manifest, err := yaml.Marshal(map[string]any{
		"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": map[string]any{"name": "mailer", "namespace": "shop"},
		"spec": map[string]any{"scaleTargetRef": map[string]any{"name": "mailer"}, "triggers": []any{trigger}},
	})
	check(t, err)
	dir := t.TempDir()
	old, result, secret := filepath.Join(dir, "old.yaml"), filepath.Join(dir, "result"), filepath.Join(dir, "password")
	check(t, os.WriteFile(old, manifest, 0o600))
	check(t, os.WriteFile(secret, []byte(rabbitmqtest.Password), 0o600))
	output, err := exec.CommandContext(ctx, options.Binary, "migrate", old, "--output", result, "--format", "json").CombinedOutput()
	const partly = 3 // the exit code where something has to be filled in
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != partly) {
		t.Fatalf("migrate: %v\n%s", err, output)
	}
	report, err := os.ReadFile(filepath.Join(result, "report.json"))
	check(t, err)
	config, err := os.ReadFile(filepath.Join(result, "config.yaml"))
	check(t, err)
	config = fillIn.ReplaceAll(config, []byte("{file: "+secret+"}"))
	addresses, err := json.Marshal(m.connection.Addresses)
	check(t, err)
	config = noAddresses.ReplaceAll(config, append([]byte("addresses: "), addresses...))
	var object struct {
		Spec struct {
			Triggers []struct {
				Type     string            `json:"type"`
				Metadata map[string]string `json:"metadata"`
			} `json:"triggers"`
		} `json:"spec"`
	}
	text, err := os.ReadFile(filepath.Join(result, "shop-scaledobject-mailer.yaml"))
	check(t, err)
	check(t, yaml.Unmarshal(text, &object))
	if got := object.Spec.Triggers; len(got) != 1 || got[0].Type != "external-push" {
		t.Fatalf("the result has no trigger of the scaler:\n%s", text)
	}
	options.Text, options.Args = string(config), []string{"--drain-delay=100ms"}
	running, err := scaler.Start(ctx, supervisor, options)
	check(t, err)
	keda, err := m.scalerOf(ctx, m.trigger(engine))
	check(t, err)
	t.Cleanup(func() { check(t, keda.Close(context.WithoutCancel(ctx))) })
	return string(report), sideBySide{keda, running, object.Spec.Triggers[0].Metadata}
}

// scalerOf makes KEDA's own scaler of a trigger.
func (m move) scalerOf(ctx context.Context, typ string) (scalers.Scaler, error) {
	config := &scalersconfig.ScalerConfig{
		ScalableObjectName: "mailer", ScalableObjectNamespace: "shop", ScalableObjectType: "ScaledObject", TriggerMetadata: maps.Clone(m.theirs(m.queue)),
		GlobalHTTPTimeout: 5 * time.Second, ResolvedEnv: map[string]string{}, AuthParams: map[string]string{},
	}
	switch typ {
	case "redis":
		return scalers.NewRedisScaler(ctx, false, false, config)
	case "redis-streams":
		return scalers.NewRedisStreamsScaler(ctx, false, false, config)
	case "kafka":
		return scalers.NewKafkaScaler(ctx, config)
	case "rabbitmq":
		return scalers.NewRabbitMQScaler(config)
	case "nats-jetstream":
		return scalers.NewNATSJetStreamScaler(config)
	case "aws-sqs-queue":
		return scalers.NewAwsSqsQueueScaler(ctx, config)
	case "postgresql":
		return scalers.NewPostgreSQLScaler(ctx, config)
	case "mysql":
		return scalers.NewMySQLScaler(config)
	default:
		return nil, fmt.Errorf("make KEDA's scaler: no type %q", typ)
	}
}

// compare waits until both have the same value and the same activity. What differs for longer than numbers of the servers are
// behind is a failure, unless the report has announced it.
func (m move) compare(ctx context.Context, t *testing.T, when string, p sideBySide) {
	t.Helper()
	const within = 30 * time.Second // zero of a queue of RabbitMQ without its management API is believed after ten
	var theirs, ours float64
	var theyAre, weAre bool
	err := childprocess.Poll(ctx, "the same value, "+when, within, 200*time.Millisecond, func(ctx context.Context) error {
		metrics, active, err := p.keda.GetMetricsAndActivity(ctx, "s0-metric")
		if err != nil {
			return fmt.Errorf("KEDA: %w", err)
		}
		value, is, err := p.scaler.Report(ctx, "shop", "mailer", p.metadata)
		if err != nil {
			return err
		}
		theirs, theyAre, ours, weAre = metrics[0].Value.AsApproximateFloat64(), active, value, is
		if math.Abs(theirs-ours) > 0.0005 || theyAre != weAre {
			return fmt.Errorf("KEDA reports %g, active %t, and the scaler %g, active %t", theirs, theyAre, ours, weAre)
		}
		return nil
	})
	t.Logf("%s: KEDA %g, active %t; scaler %g, active %t", when, theirs, theyAre, ours, weAre)
	// Work in flight keeps the scaler's trigger active whatever counts.
	if err != nil && !slices.Contains(m.differs, when) && (theirs != ours || theyAre) {
		t.Errorf("%s: %v", when, err)
	}
}

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
