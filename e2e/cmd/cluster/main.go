// Command cluster starts a control plane with KEDA, a Redis and the scaler on this machine, and a workload that an
// AutoscalerPolicy scales. It says how to use them, and stays until Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/template"

	"github.com/backlog-scaler/backlog-scaler/e2e/cluster"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// guide is what the user reads; every line of it can be pasted into a shell.
const guide = `
The cluster runs. It has no kubelet: Deployments get replicas and Pods, and no container ever starts.

  export KUBECONFIG={{.Kubeconfig}}

The policy "reports" scales a workload: one replica for five jobs in the list "reports", and at least two in the
first five minutes of every ten. Work for forty replicas raises it to forty at once. When the work is gone the HPA
follows the policy, and KEDA goes to zero once the window is closed.

  kubectl get asp reports
  kubectl describe asp reports
  kubectl explain asp.spec.schedules
  redis-cli -p {{.RedisPort}} EVAL "for i = 1, 200 do redis.call('RPUSH', 'reports', i) end" 0
  kubectl get deployment reports
  kubectl get events --field-selector involvedObject.kind=AutoscalerPolicy
  redis-cli -p {{.RedisPort}} DEL reports

Another one is scaled by a trigger alone:

  kubectl create deployment worker --image=worker --replicas=0
  kubectl apply -f - <<'EOF'
  apiVersion: keda.sh/v1alpha1
  kind: ScaledObject
  metadata: {name: worker}
  spec:
    scaleTargetRef: {name: worker}
    cooldownPeriod: 10
    triggers:
    - type: external-push
      metadata:
        scalerAddress: {{.Scaler}}
        connection: main
        list: jobs
        target: "5"
  EOF
  kubectl get scaledobject worker
  redis-cli -p {{.RedisPort}} RPUSH jobs 1 2 3 4 5 6 7 8 9 10 11 12
  kubectl get deployment worker --watch
  redis-cli -p {{.RedisPort}} DEL jobs
  curl {{.Metrics}}

Logs of every server: {{.Logs}}
Configuration of the scaler: {{.Config}}
Ctrl-C ends it all.
`

func main() { os.Exit(run()) }

// run returns the exit code.
func run() int {
	interruptible, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := serve(interruptible, os.Stdout, os.Stderr)
	if err != nil && interruptible.Err() == nil { // after Ctrl-C, errors are its echo
		fmt.Fprintln(os.Stderr, "cluster:", err)
		return 1
	}
	return 0
}

// serve runs until ctx ends or a server dies, and takes everything down again.
func serve(ctx context.Context, out, progress io.Writer) (err error) {
	root, err := toolchain.Root()
	if err != nil {
		return err
	}
	cache := toolchain.Cache{Root: root, Progress: progress}
	binary, err := cache.BuildScaler(ctx)
	if err != nil {
		return err
	}
	supervisor, ctx, err := childprocess.NewSupervisor(ctx, filepath.Join(root, ".out", "cluster"))
	if err != nil {
		return err
	}
	running, err := cluster.Start(ctx, supervisor, cache)
	defer func() {
		if cause := context.Cause(ctx); cause != nil { // a server died, and err follows from it
			err = cause
		}
		supervisor.Close()
		if running != nil {
			err = errors.Join(err, running.Close())
		}
	}()
	if err != nil {
		return err
	}
	redis, err := redisserver.Start(ctx, supervisor, running.Dir(), "redis")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	flags, environment, err := running.InstallPolicies(ctx, cache)
	if err != nil {
		return err
	}
	serving, err := scaler.Start(ctx, supervisor, scaler.Options{
		Name: "scaler", Binary: binary, Dir: running.Dir(), Args: flags, Env: environment, Connections: map[string]scaler.Connection{
			"main": {Engine: "redis", Namespaces: []string{"*"}, Addresses: []string{redis.Address()}},
		},
	})
	if err != nil {
		return err
	}
	if err := applySample(ctx, running, serving.Address()); err != nil {
		return err
	}
	if err := template.Must(template.New("guide").Parse(guide)).Execute(out, map[string]any{
		"Kubeconfig": running.Kubeconfig(),
		"Scaler":     serving.Address(),
		"Metrics":    serving.MetricsURL(),
		"RedisPort":  redis.Port(),
		"Logs":       supervisor.LogDir(),
		"Config":     serving.Config(),
	}); err != nil {
		return fmt.Errorf("print guide: %w", err)
	}
	<-ctx.Done()
	return nil
}
