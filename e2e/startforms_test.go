package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A startForm is a form of commands of docs/start.md, and what the test does with one.
type startForm struct {
	name string
	// line matches the words of such a command, with single blanks.
	line *regexp.Regexp
	// run runs it and returns what it prints, or checks what can be checked without running it.
	run func(s *startSuite, t *testing.T, words []string) string
	// unrun is why it is not run; empty if it is.
	unrun string
}

// The reasons why a command is not run.
const (
	needsNetwork   = "it needs a host of the internet"
	needsContainer = "it needs a container runtime"
	needsNode      = "it needs a node, which forwards to a pod"
)

// startForms are all forms. A command of another form fails the test, and so does a form that the page no longer has.
func startForms() []startForm {
	form := func(name, line, unrun string, run func(*startSuite, *testing.T, []string) string) startForm {
		return startForm{name: name, line: regexp.MustCompile("^" + line + "$"), run: run, unrun: unrun}
	}
	return []startForm{
		form("git clone", `git clone \S+`, needsNetwork, (*startSuite).gitClone),
		form("cd", `cd \S+`, "", (*startSuite).enter),
		form("kind cluster", `kind (create|delete) cluster .*`, needsContainer, (*startSuite).parsed),
		form("kind load", `kind load docker-image .*`, needsContainer, (*startSuite).kindLoad),
		form("make image", `make image .*`, needsContainer, (*startSuite).makeImage),
		form("helm upgrade of KEDA", `helm upgrade --install keda .*`, needsNetwork, (*startSuite).helmKEDA),
		form("helm upgrade of the scaler", `helm upgrade --install backlog-scaler deploy/keda/chart .*`, "", (*startSuite).helmScaler),
		form("kubectl create namespace", `kubectl create namespace \S+`, "", (*startSuite).program),
		form("kubectl apply", `kubectl apply --filename \S+`, "", (*startSuite).program),
		form("kubectl rollout status", `kubectl --namespace \S+ rollout status .*`, "", (*startSuite).program),
		form("kubectl wait", `kubectl --namespace \S+ wait .*`, "", (*startSuite).program),
		form("kubectl get", `kubectl --namespace \S+ get .*`, "", (*startSuite).program),
		form("kubectl describe", `kubectl --namespace \S+ describe .*`, "", (*startSuite).program),
		form("redis-cli in a pod", `kubectl --namespace shop exec deployment/redis -- redis-cli .*`, "", (*startSuite).redisCLI),
		form("scaler in a pod", `kubectl --namespace backlog-scaler exec deployment/backlog-scaler -- /scaler explain .*`, "", (*startSuite).explain),
		form("kubectl port-forward", `kubectl --namespace backlog-scaler port-forward deployment/backlog-scaler \d+`, needsNode, (*startSuite).portForward),
	}
}

// program runs a program of the page in the clone, on the cluster of the test.
func (s *startSuite) program(t *testing.T, words []string) string {
	t.Helper()
	return s.output(t, s.programs[words[0]], words[1:]...)
}

// output runs a program and returns what it prints.
func (s *startSuite) output(t *testing.T, program string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(s.ctx, program, args...)
	command.Dir = s.clone
	home := filepath.Dir(s.clone) // for what the programs keep
	command.Env = append(os.Environ(), "KUBECONFIG="+s.stage.Cluster.Kubeconfig(), "HOME="+home,
		"HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// parsed holds a command to the parser of its program: with --help it does nothing, and an unknown flag is an error.
func (s *startSuite) parsed(t *testing.T, words []string) string {
	t.Helper()
	args := slices.Clone(words[1:])
	if end := slices.Index(args, "--"); end >= 0 { // what follows is for another program
		args = args[:end]
	}
	s.output(t, s.programs[words[0]], append(args, "--help")...)
	if words[0] == "kind" {
		if name := after(words, "--name"); name != "start" {
			t.Errorf("%s is about the cluster %q, and the others about start", strings.Join(words, " "), name)
		}
	}
	return ""
}

// after returns the word after another one; empty if there is none.
func after(words []string, flag string) string {
	if i := slices.Index(words, flag); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// module returns the path of the module of the repository.
func (s *startSuite) module(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.root, "go.mod"))
	check(t, err)
	return regexp.MustCompile(`(?m)^module (\S+)$`).FindStringSubmatch(string(text))[1]
}

// gitClone wants the address of the repository, which is the path of its module.
func (s *startSuite) gitClone(t *testing.T, words []string) string {
	t.Helper()
	if want := "https://" + s.module(t); words[2] != want {
		t.Errorf("the page clones %s, want %s", words[2], want)
	}
	return ""
}

// enter wants the folder that the clone made. The commands run in a folder of that name.
func (s *startSuite) enter(t *testing.T, words []string) string {
	t.Helper()
	if want := path.Base(s.module(t)); words[1] != want || filepath.Base(s.clone) != want {
		t.Errorf("the page enters %s, want %s", words[1], want)
	}
	return ""
}

// image returns the image that the values of the chart name.
func (s *startSuite) image(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.clone, "examples", "start", "values.yaml"))
	check(t, err)
	match := regexp.MustCompile(`repository: (\S+)\n +tag: (\S+)\n`).FindStringSubmatch(string(text))
	if match == nil {
		t.Fatalf("values.yaml names no image:\n%s", text)
	}
	return match[1] + ":" + match[2]
}

func (s *startSuite) kindLoad(t *testing.T, words []string) string {
	t.Helper()
	if words[3] != s.image(t) {
		t.Errorf("the page loads the image %s, and the chart is given %s", words[3], s.image(t))
	}
	return s.parsed(t, words)
}

// makeImage wants that make would build the image, by a script that is there.
func (s *startSuite) makeImage(t *testing.T, words []string) string {
	t.Helper()
	would := s.output(t, "make", append([]string{"--dry-run", "--no-print-directory", "--directory", s.root}, words[1:]...)...)
	if want := "hack/image " + s.image(t) + " "; !strings.HasPrefix(would, want) {
		t.Errorf("%s would run %q, want %q", strings.Join(words, " "), would, want)
	}
	if _, err := exec.LookPath(filepath.Join(s.root, "hack", "image")); err != nil {
		t.Error(err)
	}
	return ""
}

// helmKEDA wants the version of KEDA with which this test runs.
func (s *startSuite) helmKEDA(t *testing.T, words []string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.root, "e2e", "go.mod"))
	check(t, err)
	tested := regexp.MustCompile(`github\.com/kedacore/keda/v2 v(\S+)`).FindStringSubmatch(string(text))[1]
	if version := after(words, "--version"); version != tested {
		t.Errorf("the page installs KEDA %s, and the tests run with %s", version, tested)
	}
	return s.parsed(t, words)
}

// helmScaler installs the chart, and starts the scaler as its objects say.
func (s *startSuite) helmScaler(t *testing.T, words []string) string {
	t.Helper()
	printed := s.program(t, words)
	s.install(t)
	return printed
}

// redisCLI runs redis-cli, which the page runs in the pod of the Redis, against the Redis of the test.
func (s *startSuite) redisCLI(t *testing.T, words []string) string {
	t.Helper()
	s.parsed(t, words)
	host, port, err := net.SplitHostPort(s.redis.Address())
	check(t, err)
	args := words[slices.Index(words, "redis-cli")+1:]
	s.pushed = time.Now()
	return s.output(t, "redis-cli", append([]string{"-h", host, "-p", port}, args...)...)
}

// explain runs the program of the image, which the page runs in the pod of the scaler, against the scaler of the test.
func (s *startSuite) explain(t *testing.T, words []string) string {
	t.Helper()
	s.parsed(t, words)
	dockerfile, err := os.ReadFile(filepath.Join(s.root, "Dockerfile"))
	check(t, err)
	const program = "/scaler"
	if want := `ENTRYPOINT ["` + program + `"]`; !strings.Contains(string(dockerfile), want) {
		t.Errorf("the Dockerfile has no %s", want)
	}
	args := words[slices.Index(words, program)+1:]
	return s.output(t, s.programs[program], append(slices.Clone(args), "--address="+s.admin)...)
}

// portForward wants the port of the admin address that the chart gives the scaler, and opens the page that docs/start.md links to.
func (s *startSuite) portForward(t *testing.T, words []string) string {
	t.Helper()
	s.parsed(t, words)
	deployment, err := s.stage.Clients.Kubernetes.AppsV1().Deployments(startScaler).Get(s.ctx, startScaler, metav1.GetOptions{})
	check(t, err)
	address := "127.0.0.1:" + words[len(words)-1]
	if !slices.Contains(deployment.Spec.Template.Spec.Containers[0].Args, "--admin-address="+address) {
		t.Errorf("the scaler does not listen on %s, but by %v", address, deployment.Spec.Template.Spec.Containers[0].Args)
	}
	page, err := os.ReadFile(filepath.Join(s.root, startPage))
	check(t, err)
	links := regexp.MustCompile(`<http://`+regexp.QuoteMeta(address)+`(/\S*)>`).FindAllStringSubmatch(string(page), -1)
	if len(links) == 0 {
		t.Errorf("%s links to no page of http://%s", startPage, address)
	}
	for _, link := range links {
		s.browse(t, link[1])
	}
	return ""
}
