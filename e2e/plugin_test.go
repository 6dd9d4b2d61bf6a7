package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/backlog-scaler/backlog-scaler/e2e/fakekubelet"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// pluginNamespace is that of the scaler in the documentation, and shop is that of its triggers.
const (
	pluginNamespace = "backlog-scaler"
	shop            = "e2e-plugin-shop"
)

// The service accounts that run kubectl backlog.
const (
	pluginAccount    = "plugin"    // has the Role of deploy/keda/plugin.yaml
	creatorAccount   = "creator"   // may create port-forwards, and not get them
	strangerAccount  = "stranger"  // may nothing
	onlookersAccount = "onlookers" // may list pods, and forward none
)

// A pluginSuite is a suite with two replicas of the scaler, each in a pod of a node. They read servers of their own, so that it
// shows which of them answers.
type pluginSuite struct {
	*suite

	binary  string
	kubelet *fakekubelet.Kubelet
	access  map[string]string // kubeconfigs by account
	// replicas are those of the pods.
	replicas map[string]replica
}

// A replica is a scaler and the Redis that it reads.
type replica struct {
	scaler *scaler.Scaler
	admin  string
	redis  *redisserver.Server
}

// TestPlugin runs the real kubectl backlog against a real control plane, which forwards the ports of pods to real scalers. It has
// a cluster of its own.
func TestPlugin(t *testing.T) { //nolint:tparallel // each goes on from what the one before has left
	t.Parallel()
	s := newPluginSuite(t)
	t.Run("explain", s.explain)
	t.Run("rights", s.rights)
	t.Run("watch", s.watch)
	t.Run("doctor", s.examine)
	t.Run("kubectl", s.byKubectl)
	t.Run("ui", s.ui)
}

func newPluginSuite(t *testing.T) *pluginSuite {
	t.Helper()
	s := &pluginSuite{suite: newStage(t, "-plugin"), access: make(map[string]string), replicas: make(map[string]replica)}
	root, err := toolchain.Root()
	check(t, err)
	s.binary, err = toolchain.Cache{Root: root, Progress: os.Stderr}.BuildPlugin(t.Context())
	check(t, err)
	for _, namespace := range []string{pluginNamespace, shop} {
		check(t, s.stage.Cluster.CreateNamespace(s.ctx, namespace))
	}
	client, err := kubernetes.NewForConfig(s.stage.Cluster.Config())
	check(t, err)
	cert, key, ca, err := s.stage.Cluster.Certificate("e2e-node")
	check(t, err)
	s.kubelet, err = fakekubelet.Start(s.ctx, fakekubelet.Options{Client: client, Cert: cert, Key: key, CA: ca})
	check(t, err)
	t.Cleanup(func() { check(t, s.kubelet.Close()) })
	s.startReplica(t, "one", 6)
	s.startReplica(t, "two", 8)

	role, err := os.ReadFile(filepath.Join(root, "..", "deploy", "keda", "plugin.yaml"))
	check(t, err)
	check(t, s.stage.Cluster.Apply(s.ctx, role))
	bindings, err := os.ReadFile(filepath.Join("testdata", "plugin-bindings.yaml"))
	check(t, err)
	check(t, s.stage.Cluster.Apply(s.ctx, bindings))
	for _, account := range []string{pluginAccount, creatorAccount, strangerAccount, onlookersAccount} {
		s.access[account], err = s.stage.Cluster.ServiceAccountKubeconfig(shop, account)
		check(t, err)
	}
	return s
}

// startReplica starts a scaler in a pod, and a Redis with so many messages that it reads.
func (s *pluginSuite) startReplica(t *testing.T, name string, messages int) {
	t.Helper()
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	check(t, err)
	r := replica{admin: fmt.Sprintf("127.0.0.1:%d", ports[0]), redis: s.startRedis(t, "redis-"+name)}
	check(t, r.redis.Push(s.ctx, "jobs", messages))
	r.scaler = s.startScaler(t, scaler.Options{
		Name: "scaler-" + name, Args: []string{"--admin-address=" + r.admin},
		Connections: map[string]scaler.Connection{"main": s.connection(r.redis, shop)},
	})
	s.replicas[name] = r
	check(t, s.kubelet.Run(s.ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pluginNamespace, Name: name, Labels: map[string]string{
			"app.kubernetes.io/name": "backlog-scaler", "app.kubernetes.io/instance": "backlog-scaler",
		}},
		// As the chart has it. The address leads to the process, whatever its port is.
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "scaler", Image: "scaler", Args: []string{"serve", "--admin-address=127.0.0.1:9091"}}}},
	}, r.admin))
}

// call asks a replica as KEDA does.
func (s *pluginSuite) call(t *testing.T, name string) {
	t.Helper()
	_, _, err := s.replicas[name].scaler.Report(s.ctx, shop, "billing", map[string]string{"connection": "main", "list": "jobs", "target": "2"})
	check(t, err)
}

// command is the plugin with the rights of an account; empty is the administrator.
func (s *pluginSuite) command(ctx context.Context, account string, args ...string) *exec.Cmd {
	kubeconfig := s.stage.Cluster.Kubeconfig()
	if account != "" {
		kubeconfig = s.access[account]
	}
	command := exec.CommandContext(ctx, s.binary, args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	return command
}

// plugin runs the plugin, and returns what it printed.
func (s *pluginSuite) plugin(account string, args ...string) (code int, stdout, stderr string) {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	command := s.command(ctx, account, args...)
	var out, err bytes.Buffer
	command.Stdout, command.Stderr = &out, &err
	_ = command.Run() // its exit code says it
	return command.ProcessState.ExitCode(), out.String(), err.String()
}

// explain: both replicas are asked, and the one counts that was called last.
func (s *pluginSuite) explain(t *testing.T) {
	for _, step := range []struct{ name, want string }{{"one", "wants 3 replicas"}, {"two", "wants 4 replicas"}, {"one", "wants 3 replicas"}} {
		s.call(t, step.name)
		began := time.Now()
		code, out, errText := s.plugin("", "explain", "billing", "-n", shop)
		if code != 0 || !strings.HasPrefix(out, shop+"/billing "+step.want) || errText != "Of 2 replicas pod backlog-scaler/"+step.name+" answers, which KEDA called last.\n" {
			t.Errorf("called by KEDA: %s; code %d\n%s%s", step.name, code, out, errText)
		}
		s.took(t, "kubectl backlog", "explain of two replicas", time.Since(began))
	}
	// The API server has unpacked the WebSockets; of SPDY it counts nothing.
	if n := s.tunnels(t); n < 6 {
		t.Errorf("%d tunnels by WebSocket, want two for each of three calls", n)
	}
	if code, _, errText := s.plugin("", "explain", "biling", "-n", shop); code != 1 || !strings.Contains(errText, "did you mean "+shop+"/billing?") {
		t.Errorf("code %d\n%s", code, errText)
	}
}

// tunnels is how many port-forwards by WebSocket the API server has accepted, by its metrics.
func (s *pluginSuite) tunnels(t *testing.T) (n int) {
	t.Helper()
	client, err := rest.HTTPClientFor(s.stage.Cluster.Config())
	check(t, err)
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.stage.Cluster.Config().Host+"/metrics", http.NoBody)
	check(t, err)
	response, err := client.Do(request)
	check(t, err)
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if count, found := strings.CutPrefix(lines.Text(), `apiserver_stream_tunnel_requests_total{code="101"} `); found {
			_, err := fmt.Sscan(count, &n)
			check(t, err)
		}
	}
	return n
}

// rights: the Role of the documentation is enough, by WebSocket; the right to create alone leaves SPDY; and who lacks a right
// reads which Role has it.
func (s *pluginSuite) rights(t *testing.T) {
	s.call(t, "two")
	want := shop + "/billing wants 4 replicas"
	before := s.tunnels(t)
	if code, out, errText := s.plugin(pluginAccount, "explain", shop+"/billing"); code != 0 || !strings.HasPrefix(out, want) {
		t.Errorf("with the Role: code %d\n%s%s", code, out, errText)
	}
	through := s.tunnels(t)
	if through != before+2 {
		t.Errorf("with the Role: %d tunnels by WebSocket, want 2", through-before)
	}
	if code, out, errText := s.plugin(creatorAccount, "explain", shop+"/billing", "--scaler-namespace", pluginNamespace); code != 0 || !strings.HasPrefix(out, want) {
		t.Errorf("with the right to create: code %d\n%s%s", code, out, errText)
	}
	if n := s.tunnels(t); n != through {
		t.Errorf("with the right to create: %d tunnels by WebSocket, want SPDY", n-through)
	}
	for _, account := range []string{strangerAccount, onlookersAccount} {
		code, out, errText := s.plugin(account, "explain", shop+"/billing")
		if code != 1 || out != "" || !strings.Contains(errText, "forbidden") || !strings.Contains(errText, "resources: [pods/portforward]\n      verbs: [get, create]") ||
			!strings.Contains(errText, "namespace: backlog-scaler\n") {
			t.Errorf("%s: code %d\n%s%s", account, code, out, errText)
		}
	}
	// An administrator may be anybody.
	if code, _, errText := s.plugin("", "explain", shop+"/billing", "--as", "system:serviceaccount:"+shop+":"+strangerAccount); code != 1 || !strings.Contains(errText, "forbidden") {
		t.Errorf("impersonated: code %d\n%s", code, errText)
	}
}

// start starts the plugin and returns its output. It is interrupted in the end, which is no error.
func (s *pluginSuite) start(t *testing.T, args ...string) *bufio.Scanner {
	t.Helper()
	command := s.command(s.ctx, pluginAccount, args...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	t.Cleanup(func() {
		check(t, command.Process.Signal(os.Interrupt))
		_, _ = io.Copy(io.Discard, stdout)
		if err := command.Wait(); err != nil {
			t.Errorf("interrupted: %v", err)
		}
		t.Logf("kubectl backlog %s noted\n%s", strings.Join(args, " "), &stderr)
	})
	return bufio.NewScanner(stdout)
}

// watch: a change that one of two replicas sees is a line.
func (s *pluginSuite) watch(t *testing.T) {
	s.call(t, "two")
	s.call(t, "one")
	lines := s.start(t, "watch", "-n", shop)
	for lines.Scan() && !strings.Contains(lines.Text(), "wants 3 replicas (6 / 2), active") {
	}
	check(t, s.replicas["one"].redis.Push(s.ctx, "jobs", 2))
	for lines.Scan() {
		if strings.Contains(lines.Text(), shop+"/billing list-jobs  wants 4 replicas (8 / 2), active") {
			return
		}
	}
	t.Error("the watch ended without the change")
}

// examine: the checks that need a running scaler are made.
func (s *pluginSuite) examine(t *testing.T) {
	s.call(t, "one")
	code, out, errText := s.plugin("", "doctor", "-A", "-o", "json")
	var e examined
	if err := json.Unmarshal([]byte(out), &e); code > 1 || err != nil {
		t.Fatalf("code %d, %v\n%s%s", code, err, out, errText)
	}
	made := false
	for _, c := range e.Checks {
		made = made || c.Code == "B403" && c.Status != "skipped"
	}
	if !made {
		t.Errorf("the scaler was not asked: %+v\n%s", e.Checks, errText)
	}
	// One who may not reach the scaler reads why those checks are skipped.
	code, out, errText = s.plugin(strangerAccount, "doctor", "-n", shop)
	if code != 3 || !strings.Contains(out, "no scaler was asked: ") {
		t.Errorf("code %d\n%s%s", code, out, errText)
	}
}

// byKubectl: the real kubectl starts the plugin, and asks the script for words.
func (s *pluginSuite) byKubectl(t *testing.T) {
	programs := clients(t)
	dir := t.TempDir()
	check(t, os.Symlink(s.binary, filepath.Join(dir, "kubectl-backlog")))
	kubectl := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, programs["kubectl"], args...)
		command.Env = append(os.Environ(), "KUBECONFIG="+s.access[pluginAccount], "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
		}
		return string(out)
	}
	s.call(t, "one")
	if out := kubectl("backlog", "explain", "billing", "-n", shop, "-o", "yaml"); !strings.Contains(out, `wantedReplicas: "4"`) {
		t.Errorf("explained:\n%s", out)
	}
	if out, want := kubectl("backlog", "completion", "install"), filepath.Join(dir, "kubectl_complete-backlog")+"\n"; out != want {
		t.Errorf("installed %q, want %q", out, want)
	}
	if out := kubectl("__complete", "backlog", "explain", "-n", shop, "bil"); !strings.HasPrefix(out, "billing\n") {
		t.Errorf("completed:\n%s", out)
	}
}

// page reads the page until it shows a text.
func (s *pluginSuite) page(t *testing.T, url, text string) {
	t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	check(t, childprocess.Poll(s.ctx, "the page with "+text, time.Minute, 50*time.Millisecond, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return err
		}
		if !strings.Contains(string(body), text) {
			return fmt.Errorf("%s\n%.1000s", response.Status, body)
		}
		return nil
	}))
}

// ui: the page stays when the replica dies that serves it, and when its pod is replaced. So does a watch.
func (s *pluginSuite) ui(t *testing.T) {
	for name, object := range map[string]string{"one": "first", "two": "second"} {
		_, _, err := s.replicas[name].scaler.Report(s.ctx, shop, object, map[string]string{"connection": "main", "list": "jobs"})
		check(t, err)
	}
	lines := s.start(t, "ui")
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "http://127.0.0.1:") {
		t.Fatalf("printed %q", lines.Text())
	}
	url := lines.Text()
	s.page(t, url, "first")
	watched := s.start(t, "watch", "-n", shop)
	await := func(object string) {
		t.Helper()
		for watched.Scan() {
			if strings.Contains(watched.Text(), shop+"/"+object+" ") {
				return
			}
		}
		t.Errorf("the watch ended without %s", object)
	}
	await("first")
	began := time.Now()
	s.replicas["one"].scaler.Process().Kill() // the pod is still listed as ready
	s.page(t, url, "second")
	s.took(t, "kubectl backlog", "page of another replica", time.Since(began))
	s.startReplica(t, "three", 1)
	_, _, err := s.replicas["three"].scaler.Report(s.ctx, shop, "third", map[string]string{"connection": "main", "list": "jobs"})
	check(t, err)
	for _, pod := range []string{"one", "two"} {
		check(t, s.kubelet.Delete(s.ctx, pluginNamespace, pod))
	}
	s.replicas["two"].scaler.Process().Kill()
	s.page(t, url, "third")
	await("third")
}
