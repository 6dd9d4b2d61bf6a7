// Package live runs the scaler as the chart would: with the arguments, the configuration file and the
// probes of the rendered Deployment, against a Redis, and asks it what the examples ask.
package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/deploy/internal/helmchart"
	"github.com/backlog-scaler/backlog-scaler/deploy/internal/process"
)

const (
	root     = "../.."
	password = "only-for-this-test"
	// etc is where the pod's volumes are mounted. A folder of the test takes its place.
	etc = "/etc/backlog-scaler"
)

// programs builds the scaler and the health probe and returns their folder.
func programs(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, build := range []struct{ dir, name, pkg string }{
		{root, "scaler", "./cmd/scaler"},
		{filepath.Join(root, "tools", "healthprobe"), "grpc-health-probe", "github.com/grpc-ecosystem/grpc-health-probe"},
	} {
		// As `make build` and the Dockerfile do, so that what they compiled serves here as well.
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", filepath.Join(folder, build.name), build.pkg)
		cmd.Dir, cmd.Env = build.dir, append(os.Environ(), "CGO_ENABLED=0")
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", build.name, err, output)
		}
	}
	return folder
}

// A pod is one container of the rendered Deployment, brought to this machine.
type pod struct {
	deployment appsv1.Deployment
	programs   string
	folder     string // stands for etc
	grpcPort   int
	httpPort   int
}

// newPod renders the chart and lays the files of its volumes out.
func newPod(t *testing.T, programs, redis, extra string) *pod {
	t.Helper()
	p := &pod{programs: programs, folder: t.TempDir()}
	_, p.grpcPort = process.FreeAddress(t)
	_, p.httpPort = process.FreeAddress(t)
	text := fmt.Sprintf(`
connections:
  orders:
    engine: redis
    namespaces: [shop]
    addresses: [%q]
    password: {file: %s/secrets/orders/password}
  # Its calls have a price, which metrics show; nothing asks for one of its queues.
  cloud: {engine: sqs, namespaces: [shop], region: eu-central-1, endpoint: "http://127.0.0.1:1"}
secrets: [{name: orders, secretName: redis-orders}]
scaler: {drainDelaySeconds: 0, adminAddress: "127.0.0.1:0"}
service: {grpcPort: %d, httpPort: %d}
%s`, redis, etc, p.grpcPort, p.httpPort, extra)
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	chart, err := helmchart.Load(filepath.Join("..", "keda", "chart"))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := chart.Render(values)
	if err != nil {
		t.Fatal(err)
	}
	deployment, err := rendered.Find("Deployment")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(deployment.YAML, &p.deployment); err != nil {
		t.Fatal(err)
	}
	configMap, err := rendered.Find("ConfigMap")
	if err != nil {
		t.Fatal(err)
	}
	data, _ := configMap.Content["data"].(map[string]any)
	config, _ := data["config.yaml"].(string)
	p.write(t, "config/config.yaml", p.local(config))
	p.write(t, "secrets/orders/password", password+"\n")
	return p
}

// local replaces the paths of the pod by those of the test.
func (p *pod) local(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, etc, p.folder), "=:", "=127.0.0.1:")
}

func (p *pod) write(t *testing.T, file, content string) {
	t.Helper()
	path := filepath.Join(p.folder, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the scaler and waits until the rendered probes succeed.
func (p *pod) start(t *testing.T) *process.Process {
	t.Helper()
	container := p.deployment.Spec.Template.Spec.Containers[0]
	var mounted []string
	for _, mount := range container.VolumeMounts {
		mounted = append(mounted, mount.MountPath+"/")
	}
	args := make([]string, len(container.Args))
	for i, arg := range container.Args {
		if _, path, found := strings.Cut(arg, "="+etc); found && !below(etc+path, mounted) {
			t.Errorf("the argument %s names a file of no volume", arg)
		}
		args[i] = p.local(arg)
	}
	scaler := process.Start(t, filepath.Join(p.programs, "scaler"), args...)
	for name, command := range map[string][]string{
		"startup":   container.StartupProbe.Exec.Command,
		"readiness": container.ReadinessProbe.Exec.Command,
		"liveness":  container.LivenessProbe.Exec.Command,
	} {
		probe := make([]string, len(command)-1)
		for i, arg := range command[1:] {
			probe[i] = p.local(arg)
		}
		err := process.Poll(t.Context(), 2*time.Minute, func(ctx context.Context) error {
			return process.Run(ctx, filepath.Join(p.programs, filepath.Base(command[0])), probe...)
		})
		if err != nil {
			t.Fatalf("%s probe: %v\nlog of the scaler:\n%s", name, err, scaler.Log())
		}
	}
	return scaler
}

func below(path string, folders []string) bool {
	for _, folder := range folders {
		if strings.HasPrefix(path, folder) {
			return true
		}
	}
	return false
}

// startRedis starts a Redis with the queues of the examples that must not be missing.
func startRedis(t *testing.T) (address string) {
	t.Helper()
	server, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed: run `make servers`")
	}
	address, port := process.FreeAddress(t)
	redis := process.Start(t, server, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "",
		"--requirepass", password, "--dir", t.TempDir())
	err = process.Poll(t.Context(), 2*time.Minute, func(ctx context.Context) error {
		return redisCommands(ctx, address,
			"AUTH "+password,
			"DEL emails orders",
			"RPUSH emails a b c",
			"XGROUP CREATE orders billing $ MKSTREAM",
			"XADD orders * number 1",
		)
	})
	if err != nil {
		t.Fatalf("%v\nlog of redis-server:\n%s", err, redis.Log())
	}
	return address
}
