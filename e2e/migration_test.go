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
	"strings"
	"testing"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
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
	// want are the values of the steps.
	want [steps]values
	// announced is what the report says where they differ.
	announced string
}

// Values are what KEDA and the scaler report in the end.
type values struct{ theirs, ours float64 }

// The steps of a comparison.
const (
	empty        = iota
	filled       // with 23 messages
	delivered    // 7 of them are in the hands of workers
	acknowledged // 3 of these are done
	drained
	steps
)

// both are the steps where KEDA and the scaler report the same.
func both(numbers ...float64) (want [steps]values) {
	for i, n := range numbers {
		want[i] = values{n, n}
	}
	return want
}

// unknown is the value of a step that is not compared.
func unknown() float64 { return math.NaN() }

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
	plain, listed, held := both(0, 23, 0, 0, 0), both(0, 23, 16, 16, 0), both(0, 23, 23, 20, 0)
	for name, start := range map[string]func(*testing.T) move{
		"redis list":    func(*testing.T) move { return move{broker: redisList(server), queue: "mails", want: plain} },
		"redis cluster": func(t *testing.T) move { return move{broker: redisCluster(t), queue: "mails", want: plain} },
		"redis stream lag": func(*testing.T) move {
			return move{broker: redisStream(server, "lagCount"), queue: "lag", want: listed}
		},
		"redis stream length": func(*testing.T) move {
			return move{redisStream(server, "streamLength"), "length", both(0, 23, 23, 23, 0), ""}
		},
		"redis stream pending": func(*testing.T) move {
			return move{redisStream(server, "pendingEntriesCount"), "pending", [steps]values{{0, 0}, {0, 23}, {7, 23}, {4, 20}, {0, 0}}, "cannot start the first replica"}
		},
		"kafka": func(t *testing.T) move { return move{broker: startKafka(t), queue: "mails", want: plain} },
		"kafka new group": func(t *testing.T) move {
			// A topic of five partitions, each with a message that another group has done. The scaler asks for no more replicas than
			// that, of five messages each.
			return move{newGroup(t), "mails", [steps]values{{5, 5}, {5, 25}, {}, {}, {5, 25}}, "KEDA counts 1 for a partition without a committed offset"}
		},
		"rabbitmq": func(t *testing.T) move { return move{broker: startRabbitMQ(t), queue: "mails", want: listed} },
		"rabbitmq over HTTP": func(t *testing.T) move {
			// What workers hold stays in a queue that is purged.
			return move{broker: rabbitOverHTTP(t), queue: "mails", want: both(0, 23, 23, 20, 4)}
		},
		"jetstream": func(t *testing.T) move { return move{broker: startJetStream(t), queue: "mails", want: held} },
		"sqs": func(t *testing.T) move {
			want := held
			want[empty], want[drained] = values{0, unknown()}, values{0, 20}
			return move{startSQS(t), "mails", want, "zero is believed after emptyFor"}
		},
		"postgresql": func(t *testing.T) move { return move{broker: startPostgreSQL(t), queue: "mails", want: plain} },
		"mysql":      func(t *testing.T) move { return move{broker: startMySQL(t), queue: "mails", want: plain} },
		"prometheus": func(t *testing.T) move { return move{broker: measuredNumber(t), queue: "mails", want: plain} },
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
	case "redis-cluster":
		return scalers.NewRedisScaler(ctx, true, false, config)
	case "prometheus":
		return scalers.NewPrometheusScaler(config)
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

// compare waits until both have the values of a step. Where these differ the report has announced it.
func (m move) compare(ctx context.Context, t *testing.T, step int, p sideBySide) {
	t.Helper()
	const within = time.Minute // KEDA's management API of RabbitMQ is seconds behind, and an empty queue is believed after ten
	want := m.want[step]
	if math.IsNaN(want.ours) {
		return
	}
	if want.theirs != want.ours && m.announced == "" {
		t.Fatalf("step %d: the values differ, and nothing is announced", step)
	}
	err := childprocess.Poll(ctx, fmt.Sprintf("the values of step %d", step), within, 200*time.Millisecond, func(ctx context.Context) error {
		metrics, theyAre, err := p.keda.GetMetricsAndActivity(ctx, "s0-metric")
		if err != nil {
			return fmt.Errorf("KEDA: %w", err)
		}
		ours, weAre, err := p.scaler.Report(ctx, "shop", "mailer", p.metadata)
		if err != nil {
			return err
		}
		if got := (values{metrics[0].Value.AsApproximateFloat64(), ours}); got != want || theyAre && !weAre {
			return fmt.Errorf("KEDA reports %g, active %t, and the scaler %g, active %t; want %v", got.theirs, theyAre, got.ours, weAre, want)
		}
		return nil
	})
	if err != nil {
		t.Errorf("step %d: %v", step, err)
	}
	t.Logf("step %d: KEDA %g, scaler %g", step, want.theirs, want.ours)
}
