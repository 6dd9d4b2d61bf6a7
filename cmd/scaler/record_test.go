package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// TestRecord records a list on a real Redis through a real scaler: the trace has what was added after
// the beginning, and an interrupt ends it in order. Then it is simulated.
func TestRecord(t *testing.T) {
	t.Parallel()
	redis, address := inspectedScaler(t)
	redistest.Eventually(t, "the queue is read", func() bool {
		code, out, _ := scaler("explain", "shop/billing", "--address", address)
		return code == 0 && strings.Contains(out, "3 messages")
	})
	path := filepath.Join(t.TempDir(), "billing.jsonl")
	program := exec.CommandContext(t.Context(), os.Args[0], "record", "shop/billing", "--address", address, "--interval", "500ms", "--out", path)
	program.Env = append(os.Environ(), asProgram+"=1")
	var stdout, stderr strings.Builder
	program.Stdout, program.Stderr = &stdout, &stderr
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	recorded := func(text string) func() bool {
		return func() bool {
			data, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(data), text)
		}
	}
	redistest.Eventually(t, "the first sample", recorded(`"ready":3`))
	for range 4 {
		redis.Do("RPUSH", "jobs", "a", "b", "c", "d", "e")
	}
	redistest.Eventually(t, "the last message", recorded(`"ready":23`))
	if err := program.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if want := "20 messages; the arrivals are lower bound."; strings.TrimSpace(stdout.String()) != want {
		t.Errorf("it prints %q, want %q", &stdout, want)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	read, err := trace.Read(file)
	if err != nil || read.Messages() != 20 || read.Quality != trace.LowerBound || read.Seen[0].Ready != 3 {
		t.Fatalf("%+v, %v", read, err)
	}
	object := filepath.Join(t.TempDir(), "orders.yaml")
	if err := os.WriteFile(object, []byte(ordersObject), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errText := scaler("simulate", path, "--candidate", object, "--service", "100ms", "--startup", "1s")
	if code != 0 || !strings.Contains(out, "Trace: 20 messages") || !strings.Contains(out, "a lower bound, so that messages wait for longer than simulated") {
		t.Errorf("simulate: %d\n%s%s", code, out, errText)
	}
}

func TestRecordMistakes(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "trace")
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "want the namespace and the name of a ScaledObject, such as shop/billing, or --prometheus"},
		{"billing", 2, `"billing": want the namespace and the name`},
		{"shop/billing --prometheus http://127.0.0.1:1 --query up", 2, "or --prometheus"},
		{"--prometheus http://127.0.0.1:1", 2, "--prometheus and --query: want both or none"},
		{"--prometheus 127.0.0.1:9090 --query up", 2, "want an address such as http://prometheus:9090"},
		{"shop/billing --interval 1ms", 2, "--interval=1ms: want 500ms to 1m"},
		{"shop/billing --address 127.0.0.1:1", 1, "kubectl --namespace backlog-scaler port-forward"},
		{"--prometheus http://user:secret@127.0.0.1:1 --query up", 1, "ask Prometheus: dial tcp"},
	} {
		code, stdout, errText := scaler(append([]string{"record", "--out", out}, strings.Fields(tc.args)...)...)
		if code != tc.code || !strings.Contains(errText, tc.want) || strings.Contains(stdout+errText, "secret") {
			t.Errorf("%s: code %d, want %d and %q\n%s%s", tc.args, code, tc.code, tc.want, stdout, errText)
		}
	}
}
