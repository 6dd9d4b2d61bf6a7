package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// inspectedScaler starts "scaler serve" with a watch shop/billing of a list of three
// messages, and returns its admin address.
func inspectedScaler(t *testing.T) (redis *redistest.Server, address string) {
	t.Helper()
	redis = redistest.Start(t)
	redis.Do("RPUSH", "jobs", "a", "b", "c")
	config := writeConfig(t, "connections:\n  main:\n    engine: redis\n    namespaces: [shop]\n    addresses: ["+redis.Addr()+"]\n"+
		"watches:\n  billing:\n    namespace: shop\n    connection: main\n    list: jobs\n    target: \"2\"\n")
	program := exec.CommandContext(t.Context(), os.Args[0], "serve", "--config", config, "--drain-delay", "0s",
		"--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0")
	program.Env = append(os.Environ(), asProgram+"=1")
	log, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Process.Kill() // it may have ended
		_ = program.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if match := regexp.MustCompile(`msg=serving .* admin=(\S+)`).FindStringSubmatch(lines.Text()); match != nil {
			go func() {
				for lines.Scan() { // so that the program never waits for a reader
				}
			}()
			return redis, match[1]
		}
	}
	t.Fatal("the program ended without serving")
	return nil, ""
}

func TestExplainAndWatch(t *testing.T) {
	t.Parallel()
	redis, address := inspectedScaler(t)
	redistest.Eventually(t, "the queue is read", func() bool {
		code, out, _ := scaler("explain", "shop/billing", "--address", address)
		return code == 0 && strings.HasPrefix(out, "shop/billing wants 2 replicas (3 messages / 2 per replica), active;")
	})
	code, out, errText := scaler("explain", "shop/billing", "--address", address, "--output", "json", "--trigger", "list-jobs")
	var got struct {
		Explanations []struct{ Decision struct{ Value float64 } }
	}
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil || len(got.Explanations) != 1 || got.Explanations[0].Decision.Value != 3 {
		t.Errorf("explain --output json: %d, %v, %+v\n%s%s", code, err, got, out, errText)
	}
	if code, out, errText := scaler("explain", "shop/billing", "--address", address, "--output", "yaml"); code != 0 || !strings.HasPrefix(out, "at: \"20") || !strings.Contains(out, "\n      value: 3\n") {
		t.Errorf("explain --output yaml: %d\n%s%s", code, out, errText)
	}
	for _, tc := range []struct{ args, want string }{
		{"shop/biling", "KEDA has not asked this replica about shop/biling recently, did you mean shop/billing?"},
		{"bank/billing", "did you mean shop/billing?"},
		{"shop/other", "known in this namespace: shop/billing"},
		{"bank/other", "known: shop/billing"},
		{"shop/billing --trigger list-job", `shop/billing has no trigger "list-job", did you mean list-jobs?`},
		{"shop/billing --trigger other", "it has list-jobs"},
		{"--policy shop/billing", "it watches no AutoscalerPolicies; it has to be started with --policies"},
	} {
		if code, _, errText := scaler(append([]string{"explain", "--address", address}, strings.Fields(tc.args)...)...); code != 1 || !strings.Contains(errText, tc.want) {
			t.Errorf("explain %s: %d\n%s\nwant %q", tc.args, code, errText, tc.want)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	watch := exec.CommandContext(ctx, os.Args[0], "watch", "--address", address, "--namespace", "shop")
	watch.Env = append(os.Environ(), asProgram+"=1")
	stdout, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	wants := []string{"wants 2 replicas (3 / 2), active", "wants 0 replicas (0 / 2), inactive"}
	for i, want := range wants {
		if !lines.Scan() || !strings.Contains(lines.Text(), "shop/billing list-jobs  "+want) {
			t.Fatalf("line %d of the watch: %q, want %q", i, lines.Text(), want)
		}
		redis.Do("DEL", "jobs")
	}
	if err := watch.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("a watch that is interrupted ends with %v, want exit code 0", err)
	}
}
