package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/backlog-scaler/backlog-scaler/e2e/dnsserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/fakenodes"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/reference"
)

// The names of docs/start.md.
const (
	startPage       = "docs/start.md"
	startNamespace  = "shop"
	startScaler     = "backlog-scaler" // the release, its namespace and its objects
	startScaledFile = "examples/start/scaledobject.yaml"
)

// A startSuite is a cluster of its own on which the commands of docs/start.md run.
type startSuite struct {
	*suite

	root     string            // of the repository
	clone    string            // the folder in which the commands run: the files that they name, as they are in the repository
	programs map[string]string // kubectl, helm and kind, and the scaler
	admin    string            // address of the scaler's inspector
	pods     *podProcesses
	pushed   time.Time // when the jobs were written
}

// TestStart runs the page that a newcomer follows. Every command of it has a form that the test knows; see startForms.
func TestStart(t *testing.T) {
	t.Parallel()
	s := newStartSuite(t)
	page, err := os.ReadFile(filepath.Join(s.root, startPage))
	check(t, err)
	fences, _ := reference.Fences(string(page))
	var printed strings.Builder // by the commands of the last block
	used := make(map[string]bool)
	for _, fence := range fences {
		switch fence.Language {
		case "sh":
			printed.Reset()
			for _, line := range reference.CommandLines(fence.Text) {
				printed.WriteString(s.run(t, line, used))
			}
		case "text":
			shows(t, fmt.Sprintf("%s:%d", startPage, fence.Line), fence.Text, printed.String())
		default:
			t.Errorf("%s:%d: a block of %q, want sh for commands or text for what they print", startPage, fence.Line, fence.Language)
		}
	}
	for _, form := range startForms() {
		if !used[form.name] {
			t.Errorf("%s has no command of the form %q; it is not needed any more", startPage, form.name)
		}
	}
	s.wentUpAndDown(t)
	s.hasNoTraps(t)
	s.namesVersions(t, string(page))
}

func newStartSuite(t *testing.T) *startSuite {
	t.Helper()
	s := &startSuite{suite: newStage(t, "-start")}
	e2e, err := toolchain.Root()
	check(t, err)
	s.root = filepath.Dir(e2e)
	cache := toolchain.Cache{Root: e2e, Progress: os.Stderr}
	s.programs = clients(t)
	s.programs["/scaler"], err = cache.BuildScaler(t.Context())
	check(t, err)
	s.clone = filepath.Join(t.TempDir(), "backlog-scaler")
	check(t, os.MkdirAll(filepath.Join(s.clone, "examples"), 0o700))
	check(t, os.CopyFS(filepath.Join(s.clone, "examples", "start"), os.DirFS(filepath.Join(s.root, "examples", "start"))))
	check(t, os.Symlink(filepath.Join(s.root, "deploy"), filepath.Join(s.clone, "deploy")))
	for _, namespace := range []string{startNamespace, startScaler} {
		nodes, err := fakenodes.Start(s.ctx, s.stage.Clients.Kubernetes, namespace)
		check(t, err)
		t.Cleanup(nodes.Close)
	}
	return s
}

// run runs a command of the page, or checks what can be checked of it, and returns what it prints.
func (s *startSuite) run(t *testing.T, line string, used map[string]bool) string {
	t.Helper()
	words := reference.Words(line)
	for _, form := range startForms() {
		match := form.line.FindStringSubmatch(strings.Join(words, " "))
		if match == nil {
			continue
		}
		used[form.name] = true
		began := time.Now()
		printed := form.run(s, t, words)
		how := "run"
		if form.unrun != "" {
			how = "checked and not run: " + form.unrun
		}
		t.Logf("%s\n(%s, %s)\n%s", line, how, time.Since(began).Round(time.Millisecond), printed)
		return printed
	}
	t.Fatalf("%s: %q is of no form that the test knows; add one to startForms", startPage, line)
	return ""
}

// shows wants each line of a block of the page in what the commands before it printed, in that order. Blanks count as one, and "…"
// stands for any text.
func shows(t *testing.T, place, block, printed string) {
	t.Helper()
	rest := strings.Split(printed, "\n")
	for line := range strings.Lines(block) {
		words := strings.Join(strings.Fields(line), " ")
		expression := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(words), "…", ".*") + "$")
		found := slices.IndexFunc(rest, func(got string) bool { return expression.MatchString(strings.Join(strings.Fields(got), " ")) })
		if found < 0 {
			t.Errorf("%s: there is no line %q in what was printed, or not in this order:\n%s", place, words, printed)
			return
		}
		rest = rest[found+1:]
	}
}

// install starts the scaler as a process, as the objects of the chart in the cluster say, where a kubelet would start the pod. The
// names of two Services stand for addresses that this machine cannot resolve:
//   - that of the Redis, in the configuration of the scaler, becomes the address of the Redis of the test;
//   - that of the scaler, in the ScaledObject, is resolved by a name server that KEDA is pointed at.
func (s *startSuite) install(t *testing.T) {
	t.Helper()
	client := s.stage.Clients.Kubernetes
	config, err := client.CoreV1().ConfigMaps(startScaler).Get(s.ctx, startScaler, metav1.GetOptions{})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(s.clone, "config.yaml"), []byte(config.Data["config.yaml"]), 0o600))
	deployment, err := client.AppsV1().Deployments(startScaler).Get(s.ctx, startScaler, metav1.GetOptions{})
	check(t, err)
	service, err := client.CoreV1().Services(startScaler).Get(s.ctx, startScaler, metav1.GetOptions{})
	check(t, err)
	redis, err := client.CoreV1().Services(startNamespace).Get(s.ctx, "redis", metav1.GetOptions{})
	check(t, err)
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("the Service of the scaler has the address %q, want none", service.Spec.ClusterIP)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	if want := "backlog-scaler:start"; container.Image != want {
		t.Errorf("the chart asks for the image %q, want %q", container.Image, want)
	}
	admin, err := childprocess.FreePorts("127.0.0.1", 1)
	check(t, err)
	s.admin = fmt.Sprintf("127.0.0.1:%d", admin[0])
	args := slices.DeleteFunc(slices.Clone(container.Args), func(arg string) bool {
		return arg == "serve" || strings.HasPrefix(arg, "--config=") || strings.Contains(arg, "-address=")
	})
	s.scaler = s.startScaler(t, scaler.Options{
		Name: "scaler", Args: append(args, "--admin-address="+s.admin),
		Text: replaceOnce(t, config.Data["config.yaml"], hostPort(redis, ""), s.redis.Address()),
	})
	names, err := dnsserver.Start(service.Name + "." + service.Namespace + ".svc")
	check(t, err)
	t.Cleanup(func() { check(t, names.Close()) })
	check(t, names.Set(s.scaler.Host()))
	file := filepath.Join(s.clone, startScaledFile)
	text, err := os.ReadFile(file)
	check(t, err)
	scaled := replaceOnce(t, string(text), hostPort(service, "grpc"), names.Target(s.scaler.GRPCPort()))
	check(t, os.WriteFile(file, []byte(scaled), 0o600))
	s.pods = startPods(s.ctx, t, client, startNamespace, "app=worker", s.redis.Address())
}

// hostPort returns the name of a Service within the cluster, with the port of a name.
func hostPort(service *corev1.Service, port string) string {
	for _, p := range service.Spec.Ports {
		if p.Name == port {
			return fmt.Sprintf("%s.%s.svc:%d", service.Name, service.Namespace, p.Port)
		}
	}
	return fmt.Sprintf("%s.%s.svc has no port %q", service.Name, service.Namespace, port)
}

// replaceOnce replaces what is in text once.
func replaceOnce(t *testing.T, text, what, by string) string {
	t.Helper()
	if n := strings.Count(text, what); n != 1 {
		t.Fatalf("%q is %d times in\n%s\nwant once", what, n, text)
	}
	return strings.Replace(text, what, by, 1)
}

// browse opens a page of the scaler's web page.
func (s *startSuite) browse(t *testing.T, path string) {
	t.Helper()
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+s.admin+path, http.NoBody)
	check(t, err)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	check(t, err)
	check(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s answers %s", path, response.Status)
	}
}

// wentUpAndDown checks the promise of the page: the jobs made four replicas of none, and their end made none. Each job was done once.
func (s *startSuite) wentUpAndDown(t *testing.T) {
	t.Helper()
	var replicas []int32
	for _, change := range s.stage.Clients.Tracker.Since(types.NamespacedName{Namespace: startNamespace, Name: "worker"}, s.pushed) {
		replicas = append(replicas, change.Replicas)
		t.Logf("%7.3f s after the jobs: %d replicas", change.At.Sub(s.pushed).Seconds(), change.Replicas)
		if change.Replicas == 1 {
			s.took(t, "start", "0 to 1", change.At.Sub(s.pushed))
		}
	}
	if diff := cmp.Diff([]int32{0, 1, 4, 0}, replicas); diff != "" {
		t.Errorf("replicas (-want +got):\n%s", diff)
	}
	s.pods.close()
	var want []string
	for job := range 20 {
		want = append(want, fmt.Sprintf("job %d", job+1))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.pods.lines()); diff != "" {
		t.Errorf("the workers did (-want +got):\n%s", diff)
	}
}

// hasNoTraps wants that scaler doctor warns of nothing in the objects of the page: it ends with 1 then.
func (s *startSuite) hasNoTraps(t *testing.T) {
	t.Helper()
	args := []string{"doctor", "--config=config.yaml"}
	for _, name := range []string{"redis.yaml", "worker.yaml"} {
		args = append(args, "--offline="+filepath.Join("examples", "start", name))
	}
	s.output(t, s.programs["/scaler"], append(args, "--offline="+filepath.Join(s.root, startScaledFile))...)
}

// namesVersions wants the versions of the programs that the test has built in the text of the page.
func (s *startSuite) namesVersions(t *testing.T, page string) {
	t.Helper()
	for tool, module := range map[string]string{"kind": "sigs.k8s.io/kind", "kubectl": "k8s.io/kubernetes", "helm": "helm.sh/helm/v3"} {
		pinned, err := os.ReadFile(filepath.Join(s.root, "e2e", "tools", tool, "go.mod"))
		check(t, err)
		version := regexp.MustCompile(module + ` v(\d+\.\d+)\.`).FindStringSubmatch(string(pinned))
		want := regexp.MustCompile(`(?i)\b` + tool + `\b[^(,.]*(\([^)]*://[^)]*\) )?\(` + regexp.QuoteMeta(version[1]) + `\)`)
		if !want.MatchString(page) {
			t.Errorf("%s does not say that it is tested with %s (%s)", startPage, tool, version[1])
		}
	}
}
