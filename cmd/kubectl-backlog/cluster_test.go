package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubetest"
	"github.com/backlog-scaler/backlog-scaler/internal/page/pagetest"
)

// wait bounds what happens at once on an idle machine.
const wait = time.Minute

// scalerWith returns a scaler whose queue for shop/billing has so many messages, and that KEDA has called.
func scalerWith(t *testing.T, ready int64) *pagetest.World {
	t.Helper()
	w := pagetest.New(t, pagetest.Options{})
	w.Main.SetReady("jobs", ready)
	w.Ask("shop", "billing", "connection", "main", "queue", "jobs", "target", "2")
	return w
}

// address is that of the admin port.
func address(w *pagetest.World) string { return strings.TrimPrefix(w.URL, "http://") }

// pod is a ready replica in the namespace of the documentation.
func pod(name, address string) kubetest.Pod {
	return kubetest.Pod{Namespace: "backlog-scaler", Name: name, Release: "backlog-scaler", Ready: true, Address: address}
}

func TestFinding(t *testing.T) {
	t.Parallel()
	w := scalerWith(t, 6)
	one := pod("one", address(w))
	elsewhere, unready, unserved, broken, renamed, moved := one, one, one, one, one, one
	elsewhere.Namespace, elsewhere.Name = "staging", "two"
	unready.Ready = false
	unserved.Args = []string{"--admin-address="}
	broken.Args = []string{"--admin-address", "9091"}
	renamed.Labels = map[string]string{"app": "scaler"}
	moved.Address, moved.Env = "127.0.0.1:1", map[string]string{"SCALER_ADMIN_ADDRESS": ":9191"}
	release := elsewhere
	release.Namespace, release.Release = "backlog-scaler", "other"
	ownNamespace := one
	ownNamespace.Namespace = "shop"
	explains := "shop/billing wants 3 replicas (6 messages / 2 per replica), active"
	for _, tc := range []struct {
		name   string
		pods   []kubetest.Pod
		denied []string // verb and namespace
		args   []string
		code   int
		stdout string
		stderr []string
	}{
		{"one", []kubetest.Pod{one}, nil, nil, 0, explains, nil},
		{"none", nil, nil, nil, 1, "", []string{"there is no pod with the label app.kubernetes.io/name=backlog-scaler"}},
		{"none in a namespace", []kubetest.Pod{one}, nil, []string{"--scaler-namespace", "shop"}, 1, "", []string{"in namespace shop: there is no pod"}},
		{"not ready", []kubetest.Pod{unready}, nil, nil, 1, "", []string{"none of its pods is ready: backlog-scaler/one"}},
		{"one of two is ready", []kubetest.Pod{unready, pod("two", address(w))}, nil, nil, 0, explains, nil},
		{"no admin address", []kubetest.Pod{unserved}, nil, nil, 1, "", []string{"--admin-address is empty in the arguments of pod backlog-scaler/one"}},
		{"no port", []kubetest.Pod{broken}, nil, nil, 1, "", []string{"--admin-address=9091 has no port"}},
		{"several releases", []kubetest.Pod{one, elsewhere, release}, nil, nil, 1, "", []string{
			"there are several releases, want one of", "--scaler-namespace backlog-scaler --scaler-release backlog-scaler\n",
			"--scaler-namespace backlog-scaler --scaler-release other\n", "--scaler-namespace staging --scaler-release backlog-scaler\n",
		}},
		{"one of several by its namespace", []kubetest.Pod{one, elsewhere}, nil, []string{"--scaler-namespace", "staging"}, 0, explains, nil},
		{"one of several by its release", []kubetest.Pod{one, release}, nil, []string{"--scaler-release", "other"}, 0, explains, nil},
		{"no such release", []kubetest.Pod{one}, nil, []string{"--scaler-release", "other"}, 1, "", []string{"find the scaler of release other"}},
		{"other labels", []kubetest.Pod{renamed}, nil, []string{"--scaler-selector", "app=scaler"}, 0, explains, nil},
		{"not all namespaces", []kubetest.Pod{one}, []string{"list "}, nil, 0, explains, nil},
		{"only the current one", []kubetest.Pod{ownNamespace}, []string{"list ", "list backlog-scaler"}, nil, 0, explains, nil},
		{"no namespace", []kubetest.Pod{one}, []string{"list ", "list backlog-scaler", "list shop"}, nil, 1, "", []string{
			"cannot list resource", "namespace: backlog-scaler\n", "resources: [pods/portforward]\n      verbs: [get, create]\n",
		}},
		{"a namespace that is not allowed", []kubetest.Pod{elsewhere}, []string{"list staging"}, []string{"--scaler-namespace", "staging"}, 1, "", []string{"namespace: staging\n"}},
		{"no port-forward", []kubetest.Pod{elsewhere}, []string{"get staging", "create staging"}, nil, 1, "", []string{
			"reach port 9091 of pod staging/two", "is forbidden", "To reach the scaler you need this Role", "namespace: staging\n",
		}},
		{"no port-forward by WebSocket", []kubetest.Pod{one}, []string{"get backlog-scaler"}, nil, 0, explains, nil},
		{"another port", []kubetest.Pod{moved}, nil, nil, 1, "", []string{"reach port 9191 of pod backlog-scaler/one"}},
		{"nothing listens", []kubetest.Pod{pod("one", "127.0.0.1:1")}, nil, nil, 1, "", []string{"no scaler answers at pod backlog-scaler/one", "connection refused"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := kubetest.Start(t, tc.pods...)
			for _, d := range tc.denied {
				verb, namespace, _ := strings.Cut(d, " ")
				server.Deny(namespace, verb)
			}
			code, out, errText := plugin(append([]string{"explain", "billing", "--kubeconfig", server.Kubeconfig("shop")}, tc.args...)...)
			if code != tc.code || !strings.Contains(out, tc.stdout) {
				t.Errorf("code %d, want %d; no %q in\n%s%s", code, tc.code, tc.stdout, out, errText)
			}
			for _, want := range tc.stderr {
				if !strings.Contains(errText, want) {
					t.Errorf("no %q in\n%s", want, errText)
				}
			}
			if tc.code == 0 && errText != "" {
				t.Errorf("notes about nothing:\n%s", errText)
			}
		})
	}
}

// TestReplicas: each replica is asked, the one that KEDA called last counts and is named, and so is one that fails.
func TestReplicas(t *testing.T) {
	t.Parallel()
	first, second := scalerWith(t, 6), scalerWith(t, 8)
	server := kubetest.Start(t, pod("one", address(first)), pod("two", address(second)), pod("dead", "127.0.0.1:1"))
	kubeconfig := server.Kubeconfig("bank")
	explain := func(want, by string) {
		t.Helper()
		code, out, errText := plugin("explain", "billing", "-n", "shop", "--kubeconfig", kubeconfig)
		if code != 0 || !strings.HasPrefix(out, want) || !strings.Contains(errText, "Of 3 replicas pod backlog-scaler/"+by+" answers, which KEDA called last.") ||
			!strings.Contains(errText, "One replica does not answer: no scaler answers at pod backlog-scaler/dead: ") {
			t.Errorf("code %d; want %q by %s:\n%s%s", code, want, by, out, errText)
		}
	}
	explain("shop/billing wants 4 replicas", "two")
	first.Ask("shop", "billing", "connection", "main", "queue", "jobs", "target", "2")
	explain("shop/billing wants 3 replicas", "one")

	code, out, errText := plugin("explain", "shop/billing", "-o", "json", "--kubeconfig", kubeconfig)
	var got struct {
		Explanations []struct{ Decision struct{ Value float64 } }
	}
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil || len(got.Explanations) != 1 || got.Explanations[0].Decision.Value != 6 {
		t.Errorf("%d, %v, %+v\n%s%s", code, err, got, out, errText)
	}
	if code, _, errText := plugin("explain", "shop/biling", "--kubeconfig", kubeconfig); code != 1 || !strings.Contains(errText, "did you mean shop/billing?") {
		t.Errorf("a name that is not known: %d\n%s", code, errText)
	}
	server.Set(pod("one", address(first)), pod("p2", "127.0.0.1:1"), pod("p3", "127.0.0.1:1"), pod("p4", "127.0.0.1:1"), pod("p5", "127.0.0.1:1"), pod("p6", address(second)))
	if _, _, errText := plugin("explain", "shop/billing", "--kubeconfig", kubeconfig); !strings.Contains(errText, "has 6 ready replicas, and 5 of them are asked") {
		t.Errorf("of many replicas five are asked:\n%s", errText)
	}
}

// TestRole: the Role in an error is the one that the documentation applies.
func TestRole(t *testing.T) {
	t.Parallel()
	var lines []string
	for line := range strings.Lines(read(t, filepath.Join("..", "..", "deploy", "keda", "plugin.yaml"))) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, "  "+line)
		}
	}
	if diff := cmp.Diff(strings.Join(lines, ""), role("backlog-scaler")); diff != "" {
		t.Errorf("(-manifest +error):\n%s", diff)
	}
}

func TestPolicyExplain(t *testing.T) {
	t.Parallel()
	first, second := pagetest.New(t, pagetest.Options{Policies: true}), pagetest.New(t, pagetest.Options{Policies: true})
	for _, replica := range []*pagetest.World{first, second} {
		replica.SetPolicy("frontdesk", 3)
	}
	both := kubetest.Start(t, pod("one", address(first)), pod("two", address(second)))
	code, out, errText := plugin("policy", "explain", "frontdesk", "--kubeconfig", both.Kubeconfig("shop"))
	if code != 0 || !strings.HasPrefix(out, "AutoscalerPolicy shop/frontdesk ") || !strings.Contains(errText, "Of 2 replicas pod backlog-scaler/") || !strings.Contains(errText, " answers, which decided last.") {
		t.Errorf("code %d\n%s%s", code, out, errText)
	}
	w := scalerWith(t, 6)
	server := kubetest.Start(t, pod("one", address(w)))
	if code, _, errText := plugin("policy", "explain", "billing", "--kubeconfig", server.Kubeconfig("shop")); code != 1 || !strings.Contains(errText, "watches no AutoscalerPolicies") {
		t.Errorf("%d\n%s", code, errText)
	}
}

// start starts the program, and returns its output line by line. It is interrupted in the end, which is no error.
func start(t *testing.T, args ...string) (lines, notes *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*wait)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer cancel()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		rest, _ := io.ReadAll(stderr)
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("interrupted, %v, want exit code 0\n%s", err, rest)
		}
	})
	return bufio.NewScanner(stdout), bufio.NewScanner(stderr)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	first, second := scalerWith(t, 6), scalerWith(t, 8)
	first.Ask("shop", "billing", "connection", "main", "queue", "jobs", "target", "2")
	first.Ask("bank", "loans", "connection", "main", "queue", "loans")
	server := kubetest.Start(t, pod("one", address(first)), pod("two", address(second)))
	lines, notes := start(t, "watch", "--kubeconfig", server.Kubeconfig("shop"))
	if !notes.Scan() || notes.Text() != "Watching 2 replicas: pod backlog-scaler/one, pod backlog-scaler/two. Each trigger is as the one reports that KEDA called last." {
		t.Errorf("noted %q", notes.Text())
	}
	for lines.Scan() { // the second may come first
		if strings.Contains(lines.Text(), "bank") {
			t.Fatalf("a line of another namespace: %q", lines.Text())
		}
		if strings.Contains(lines.Text(), "shop/billing queue-jobs  wants 3 replicas (6 / 2), active") {
			break
		}
	}
	first.Main.SetReady("jobs", 0)
	if !lines.Scan() || !strings.Contains(lines.Text(), "wants 0 replicas (0 / 2), inactive") {
		t.Errorf("after a change: %q", lines.Text())
	}
	all, _ := start(t, "watch", "-A", "-o", "json", "--kubeconfig", server.Kubeconfig("shop"))
	for all.Scan() && !strings.Contains(all.Text(), `"scaledObject":"loans"`) {
		if !json.Valid(all.Bytes()) {
			t.Errorf("no JSON: %s", all.Text())
		}
	}
	if !strings.Contains(all.Text(), "loans") {
		t.Error("with -A all namespaces are watched")
	}
}

// TestWatchFollowsAnUpgrade: all replicas are replaced by others, and the watch goes on.
func TestWatchFollowsAnUpgrade(t *testing.T) {
	t.Parallel()
	first, second := scalerWith(t, 6), scalerWith(t, 8)
	server := kubetest.Start(t, pod("one", address(first)))
	lines, notes := start(t, "watch", "--kubeconfig", server.Kubeconfig("shop"))
	if !lines.Scan() || !strings.Contains(lines.Text(), "shop/billing queue-jobs  wants 3 replicas (6 / 2), active") {
		t.Fatalf("the first line is %q", lines.Text())
	}
	server.Set(pod("two", address(second)))
	first.Stop()
	if !lines.Scan() || !strings.Contains(lines.Text(), "shop/billing queue-jobs  wants 4 replicas (8 / 2), active") {
		t.Fatalf("after the upgrade: %q", lines.Text())
	}
	for _, want := range []string{"No replica is left, and one is searched for 1m0s: no scaler answers at pod backlog-scaler/one: ", "Watching pod backlog-scaler/two."} {
		if !notes.Scan() || !strings.HasPrefix(notes.Text(), want) {
			t.Errorf("noted %q, want %q", notes.Text(), want)
		}
	}
}

// get reads the page until a condition holds.
func get(t *testing.T, url string, holds func(body string) bool) error {
	t.Helper()
	client := &http.Client{Timeout: wait, Transport: &http.Transport{DisableKeepAlives: true}}
	var last error
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			last = err
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			last = err
			continue
		}
		if response.StatusCode == http.StatusOK && holds(string(body)) {
			return nil
		}
		last = fmt.Errorf("%s\n%.2000s", response.Status, body)
	}
	return last
}

// rude asks for a page and resets the connection when the first byte is there.
func rude(t *testing.T, address string) {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET /events HTTP/1.1\r\nHost: %s\r\n\r\n", address); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// TestUI: the page of a replica is served on this machine, and that of another one when the replica dies.
func TestUI(t *testing.T) {
	t.Parallel()
	first, second := scalerWith(t, 6), pagetest.New(t, pagetest.Options{})
	second.Main.SetReady("loans", 1)
	second.Ask("bank", "loans", "connection", "main", "queue", "loans")
	server := kubetest.Start(t, pod("one", address(first)), pod("two", address(second)))
	lines, notes := start(t, "ui", "--kubeconfig", server.Kubeconfig("shop"))
	if !notes.Scan() || notes.Text() != "The page is that of pod backlog-scaler/one." {
		t.Errorf("noted %q", notes.Text())
	}
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "http://127.0.0.1:") {
		t.Fatalf("printed %q", lines.Text())
	}
	url := lines.Text()
	shows := func(name string) func(string) bool {
		return func(body string) bool { return strings.Contains(body, name) }
	}
	if err := get(t, url, shows("billing")); err != nil {
		t.Errorf("the first replica: %v", err)
	}
	// A browser that goes away in the middle is no fault of the replica.
	for range 3 {
		rude(t, strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
		if err := get(t, url, func(body string) bool {
			if strings.Contains(body, "loans") {
				t.Error("the replica was left because of a browser")
			}
			return true
		}); err != nil {
			t.Error(err)
		}
	}
	// The process is dead, and the pod is still listed as ready.
	first.Stop()
	if err := get(t, url, shows("loans")); err != nil {
		t.Errorf("the second replica: %v", err)
	}
	// The pod is gone, and another one comes.
	third := scalerWith(t, 1)
	server.Set()
	server.Cut()
	time.AfterFunc(500*time.Millisecond, func() { server.Set(pod("three", address(third))) })
	if err := get(t, url, shows("billing")); err != nil {
		t.Errorf("the third replica: %v", err)
	}
	var seen []string
	for notes.Scan() {
		seen = append(seen, notes.Text())
		if strings.Contains(notes.Text(), "three") {
			break
		}
	}
	if !slices.Contains(seen, "The page is that of pod backlog-scaler/two.") {
		t.Errorf("noted %q", seen)
	}
	if code, out, errText := plugin("ui", "--port", url[strings.LastIndex(url, ":")+1:len(url)-1], "--kubeconfig", server.Kubeconfig("shop")); code != 1 || out != "" || !strings.Contains(errText, "--port names another one") {
		t.Errorf("a port that is taken: %d\n%s%s", code, out, errText)
	}
}
