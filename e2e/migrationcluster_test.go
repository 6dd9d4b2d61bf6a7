package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/rabbitmqtest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

const migrateNamespace = "e2e-migrate"

// A clusterMove is a suite with objects of a cluster that are migrated while KEDA scales them.
type clusterMove struct {
	*suite

	binary string
	access map[string]string // kubeconfigs by account
	rabbit *broker
	// secrets are the texts that no output may have.
	secrets []string
}

// TestMigrateCluster migrates the triggers of a real control plane with the rights of deploy/keda/migrate.yaml, and compares their
// values with those of a real KEDA while it scales. It has a cluster of its own.
func TestMigrateCluster(t *testing.T) {
	t.Parallel()
	m := newClusterMove(t)
	result := t.TempDir()
	report := m.migrate(t, result)
	config := m.fillIn(t, result)
	running := m.startScaler(t, scaler.Options{Name: "shadow", Text: config})
	m.agree(t, running, "empty", "0 0 equal", "0 0 equal", "0 0 equal")
	m.write(t)
	m.agree(t, running, "filled", "23 23 equal", "0 23 differs, as the report announced", "23 23 equal")
	if !strings.Contains(report, "cannot start the first replica") {
		t.Errorf("the report announces nothing about the stream:\n%s", report)
	}
	m.disagree(t, config)
	m.rights(t)
}

func newClusterMove(t *testing.T) *clusterMove {
	t.Helper()
	m := &clusterMove{suite: newStage(t, "-migrate"), access: make(map[string]string), rabbit: startRabbitMQ(t)}
	root, err := toolchain.Root()
	check(t, err)
	m.binary, err = toolchain.Cache{Root: root, Progress: os.Stderr}.BuildScaler(t.Context())
	check(t, err)
	check(t, m.stage.Cluster.CreateNamespace(m.ctx, migrateNamespace))
	role, err := os.ReadFile(filepath.Join(root, "..", "deploy", "keda", "migrate.yaml"))
	check(t, err)
	check(t, m.stage.Cluster.Apply(m.ctx, role))
	host := m.rabbit.theirs("migrate-orders")["host"]
	parsed, err := url.Parse(host)
	check(t, err)
	m.secrets = []string{rabbitmqtest.Password, host, parsed.User.String(), "a-key-in-plain-text"}
	m.rabbit.create(t, "migrate-orders")
	check(t, m.redis.Client().XGroupCreateMkStream(m.ctx, "migrate-audit", "workers", "0").Err())
	for _, name := range []string{"migrate-bindings.yaml", "migrate-objects.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		check(t, err)
		data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("REDIS\""), []byte(m.redis.Address()+"\"")), []byte("RABBIT\""), []byte(host+"\""))
		check(t, m.stage.Cluster.Apply(m.ctx, data))
	}
	for _, account := range []string{fullAccount, partAccount} {
		m.access[account], err = m.stage.Cluster.ServiceAccountKubeconfig(migrateNamespace, account)
		check(t, err)
	}
	return m
}

// run runs scaler migrate with the rights of an account. It returns its output and its exit code. No output has a secret.
func (m *clusterMove) run(ctx context.Context, t *testing.T, account string, args ...string) (output string, code int) {
	t.Helper()
	command := exec.CommandContext(ctx, m.binary, append([]string{"migrate", "--cluster"}, args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+m.access[account])
	text, err := command.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run scaler migrate: %v", err)
	}
	m.checkSecrets(t, "the output of "+strings.Join(args, " "), string(text))
	return string(text), command.ProcessState.ExitCode()
}

func (m *clusterMove) checkSecrets(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range m.secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s has the secret %q", what, secret)
		}
	}
}

// The exit codes of scaler migrate.
const (
	migrated = 0
	partly   = 3
)

// migrate migrates the whole cluster into a folder, and returns the report. What is in the Secret is a gap, and nothing else is.
func (m *clusterMove) migrate(t *testing.T, result string) string {
	t.Helper()
	output, code := m.run(m.ctx, t, fullAccount, "--shadow", "--output", result)
	if code != partly || !strings.Contains(output, "3 objects, 3 triggers carried") || !strings.Contains(output, "1 gap, 0 things cannot be carried") {
		t.Fatalf("code %d\n%s", code, output)
	}
	entries, err := os.ReadDir(result)
	check(t, err)
	if len(entries) != 5 { // three objects, the configuration and the report
		t.Errorf("%d files were written, want 5", len(entries))
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(result, entry.Name()))
		check(t, err)
		m.checkSecrets(t, entry.Name(), string(text))
	}
	report, err := os.ReadFile(filepath.Join(result, "report.md"))
	check(t, err)
	return string(report)
}

var noUsername = regexp.MustCompile(`username: \[\].*`)

// fillIn fills in the gaps of the configuration, as its operator would.
func (m *clusterMove) fillIn(t *testing.T, result string) string {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(result, "config.yaml"))
	check(t, err)
	secret := filepath.Join(t.TempDir(), "password")
	check(t, os.WriteFile(secret, []byte(rabbitmqtest.Password), 0o600))
	config = fillIn.ReplaceAll(config, []byte("{file: "+secret+"}"))
	config = noAddresses.ReplaceAll(config, []byte("addresses: ["+m.rabbit.connection.Addresses[0]+"]"))
	return string(noUsername.ReplaceAll(config, []byte("username: "+rabbitmqtest.Username)))
}

// write writes 23 messages to each queue. None is delivered.
func (m *clusterMove) write(t *testing.T) {
	t.Helper()
	check(t, m.redis.Push(m.ctx, "migrate-mails", 23))
	stream := redisStream(m.redis, "pendingEntriesCount")
	stream.write(t, "migrate-audit", 23)
	m.rabbit.write(t, "migrate-orders", 23)
}

// compare compares KEDA's values with those of a scaler for a while. It returns the table without its spaces: a line for each
// trigger has the object, the trigger, KEDA's value, that of the scaler, two counts and the result.
func (m *clusterMove) compare(ctx context.Context, t *testing.T, running *scaler.Scaler) (lines map[string]string, output string, code int) {
	t.Helper()
	output, code = m.run(ctx, t, fullAccount, "--shadow", "--namespace="+migrateNamespace, "--for=6s", "--behind=3s",
		"--keda-metrics="+m.stage.Cluster.KEDAMetrics(), "--scaler-metrics="+running.MetricsURL())
	lines = make(map[string]string)
	const columns = 6 // before the result
	for line := range strings.Lines(output) {
		if words := strings.Fields(line); len(words) > columns && strings.HasPrefix(words[0], migrateNamespace+"/") {
			lines[strings.TrimPrefix(words[0], migrateNamespace+"/")] = strings.Join(append([]string{words[2], words[3]}, words[columns:]...), " ")
		}
	}
	return lines, output, code
}

// agree waits until the comparison says what is wanted of the list, the stream and the queue. No difference is one that the report
// did not announce, so the exit code is 0.
func (m *clusterMove) agree(t *testing.T, running *scaler.Scaler, step, mailer, audit, orders string) {
	t.Helper()
	check(t, childprocess.Poll(m.ctx, "the values of KEDA and the scaler: "+step, 2*time.Minute, time.Second, func(ctx context.Context) error {
		lines, output, code := m.compare(ctx, t, running)
		if code != migrated || lines["mailer"] != mailer || lines["audit"] != audit || lines["orders"] != orders {
			return fmt.Errorf("code %d\n%s", code, output)
		}
		t.Logf("%s\n%s", step, output)
		return nil
	}))
}

// disagree compares with a scaler that reads another list. That is no difference which the report announced.
func (m *clusterMove) disagree(t *testing.T, config string) {
	t.Helper()
	other := m.startScaler(t, scaler.Options{Name: "mistaken", Text: strings.Replace(config, "list: migrate-mails", "list: migrate-others", 1)})
	check(t, childprocess.Poll(m.ctx, "the difference that was made on purpose", time.Minute, time.Second, func(ctx context.Context) error {
		lines, output, code := m.compare(ctx, t, other)
		if code != partly || lines["mailer"] != "23 0 differs, and the report announced nothing" || !strings.Contains(output, "1 triggers differ in a way that the report did not announce") {
			return fmt.Errorf("code %d\n%s", code, output)
		}
		return nil
	}))
}

// rights: without the rights to workloads and ConfigMaps what they have is a gap, and notes say so. Nothing was written, and no
// Secret was asked for.
func (m *clusterMove) rights(t *testing.T) {
	t.Helper()
	output, code := m.run(m.ctx, t, partAccount, "--namespace="+migrateNamespace)
	if code != partly {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{
		"clustertriggerauthentications of the cluster may not be read", "deployments of namespace " + migrateNamespace + " may not be read",
		"configmaps of namespace " + migrateNamespace + " may not be read",
		"a variable of Deployment " + migrateNamespace + "/mailer, which is not in the input",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("no %q in\n%s", want, output)
		}
	}
	if output, code := m.run(m.ctx, t, partAccount); code != 1 || !strings.Contains(output, "forbidden") {
		t.Errorf("all namespaces: code %d\n%s", code, output)
	}
	writes, err := m.stage.Cluster.Writes("")
	check(t, err)
	reads, err := m.stage.Cluster.SecretReads()
	check(t, err)
	if len(writes)+len(reads) > 0 {
		t.Errorf("scaler migrate wrote %+v and asked for Secrets: %+v", writes, reads)
	}
	// The log would have shown it.
	command := exec.CommandContext(m.ctx, m.binary, "doctor", "--output=json", "--namespace="+migrateNamespace)
	command.Env = append(os.Environ(), "KUBECONFIG="+m.access[fullAccount])
	_ = command.Run() // its rights are those of another command, so it ends with any code
	if writes, err = m.stage.Cluster.Writes(""); err != nil || len(writes) == 0 {
		t.Errorf("the log of the API server has none of the requests of another command, %v", err)
	}
}
