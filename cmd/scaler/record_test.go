package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/tlsconfig/tlstest"
	"github.com/backlog-scaler/backlog-scaler/internal/page/pagetest"
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

// TestRecordPolicy records the queue of the signal of a policy, and the replicas that the policy sees, from a
// scaler that decides on it.
func TestRecordPolicy(t *testing.T) {
	t.Parallel()
	world := pagetest.New(t, pagetest.Options{Policies: true})
	world.Main.SetReady("orders", 37)
	world.SetPolicy("night", 4)
	address := strings.TrimPrefix(world.URL, "http://")
	path := filepath.Join(t.TempDir(), "night.jsonl")
	redistest.Eventually(t, "the policy is decided on and its queue is recorded", func() bool {
		code, out, _ := scaler("record", "shop/uses-night", "--address", address, "--interval", "500ms", "--for", "1s", "--out", path)
		return code == 0 && strings.Contains(out, "0 messages; the arrivals are lower bound")
	})
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), `"seen":{"ready":37,"replicas":4,"readyReplicas":4,"reported":`) {
		t.Errorf("%v\n%s", err, data)
	}
	if code, _, errText := scaler("record", "shop/uses-night", "--signal", "mails", "--address", address, "--out", path); code != 1 || !strings.Contains(errText, "--signal mails: the AutoscalerPolicy has no such signal that counts messages, want orders") {
		t.Errorf("code %d: %s", code, errText)
	}
}

// TestRecordPast: with a login, with certificates and with a connection of the configuration Prometheus is
// asked as for a trigger. What it answers is a trace, and no output has a secret.
func TestRecordPast(t *testing.T) {
	t.Parallel()
	dir, file := folder(t)
	certificates := tlstest.New(t, dir, "reader")
	pair, err := tls.LoadX509KeyPair(certificates.ServerCert, certificates.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	const token, password = "hunter2-token", "hunter2-password"
	answer := func(w http.ResponseWriter, r *http.Request) {
		user, word, basic := r.BasicAuth()
		switch {
		case r.URL.Path != "/prom/api/v1/query_range":
			w.WriteHeader(http.StatusNotFound)
		case r.Header.Get("Authorization") == "Bearer "+token, basic && user == "reader" && word == password:
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1764158460,"2"],[1764158520,"0.5"],[1764158580,"0"]]}]}}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"status":"error","error":"who is `+r.Header.Get("Authorization")+`?"}`)
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	tokenFile, passwordFile := file("token", token+"\n"), file("password", password)
	wrong := file("wrong", "hunter2-wrong")
	ca := []string{"--tls-ca-file", certificates.CA.Path}
	config := writeConfig(t, "connections:\n  metrics: {engine: prometheus, namespaces: [shop], url: "+server.URL+"/prom, token: {file: "+tokenFile+"}, tlsCAFile: "+certificates.CA.Path+"}\n")
	queues := writeConfig(t, "connections:\n  main: {engine: redis, namespaces: [shop], addresses: [127.0.0.1:1]}\n")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a token", append([]string{"--prometheus", server.URL + "/prom", "--token-file", tokenFile}, ca...), 0, "150 messages; the arrivals are reconstructed."},
		{"a user", append([]string{"--prometheus", server.URL + "/prom", "--username", "reader", "--password-file", passwordFile}, ca...), 0, "150 messages"},
		{"a connection", []string{"--config", config, "--connection", "metrics"}, 0, "150 messages"},
		{"no login", append([]string{"--prometheus", server.URL + "/prom"}, ca...), 1, "ask Prometheus: "},
		{"a wrong token", append([]string{"--prometheus", server.URL + "/prom", "--token-file", wrong}, ca...), 1, "401 Unauthorized"},
		{"an unknown authority", []string{"--prometheus", server.URL + "/prom", "--token-file", tokenFile}, 1, "tlsCAFile: "},
		{"another path", append([]string{"--prometheus", server.URL, "--token-file", tokenFile}, ca...), 1, "the address under which /api/v1/query_range is served"},
		{"a connection to a queue", []string{"--config", queues, "--connection", "main"}, 1, "which keeps no past; want one with the engine prometheus"},
		{"no such connection", []string{"--config", config, "--connection", "other"}, 1, `has no connection "other"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "trace.jsonl")
			const older = "an older trace"
			if err := os.WriteFile(out, []byte(older), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"record", "--out", out, "--query", "up", "--for", "3m", "--to", "2025-11-26T12:03:00Z"}, tc.args...)
			code, stdout, errText := scaler(args...)
			if code != tc.code || !strings.Contains(stdout+errText, tc.want) || strings.Contains(stdout+errText, "hunter2") {
				t.Errorf("code %d, want %d and %q\n%s%s", code, tc.code, tc.want, stdout, errText)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if tc.code != 0 {
				if string(data) != older {
					t.Errorf("a recording that failed has left %q of an older one", data)
				}
				return
			}
			if read, err := trace.Read(bytes.NewReader(data)); err != nil || read.Messages() != 150 || read.End != 3*time.Minute {
				t.Errorf("%v\n%s", err, data)
			}
		})
	}
}

func TestRecordMistakes(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "trace.gz")
	for _, tc := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "want the namespace and the name of a ScaledObject, such as shop/billing, or --prometheus"},
		{"billing", 2, `"billing": want the namespace and the name`},
		{"shop/billing --prometheus http://127.0.0.1:1 --query up", 2, "or --prometheus"},
		{"--prometheus http://127.0.0.1:1", 2, "--query: missing, want a rate"},
		{"shop/billing --query up", 2, "--query: want --prometheus, or --connection"},
		{"--prometheus 127.0.0.1:9090 --query up", 1, `url: want an address such as "http://prometheus:9090"`},
		{"--prometheus http://127.0.0.1:1 --query up --step 1ms", 2, "--step=1ms: want 1s to 1h"},
		{"--connection a --query up", 2, "--config and --connection: want both or none"},
		{"shop/billing --token-file a", 2, "--tls-...: want --prometheus, too"},
		{"--prometheus http://127.0.0.1:1 --query up --username reader", 1, "username: needs a password"},
		{"--prometheus http://127.0.0.1:1 --query up --tls-server-name a", 1, "url: must begin with https:// for the tls settings"},
		{"--prometheus http://127.0.0.1:1 --query up --token-file /does/not/exist", 1, "/does/not/exist"},
		{"shop/billing --interval 1ms", 2, "--interval=1ms: want 500ms to 1m"},
		{"shop/billing --address 127.0.0.1:1", 1, "kubectl --namespace backlog-scaler port-forward"},
		{"--prometheus http://user:secret@127.0.0.1:1 --query up", 1, "--prometheus: url: a URL with user information"},
	} {
		code, stdout, errText := scaler(append([]string{"record", "--out", out}, strings.Fields(tc.args)...)...)
		if code != tc.code || !strings.Contains(errText, tc.want) || strings.Contains(stdout+errText, "secret") {
			t.Errorf("%s: code %d, want %d and %q\n%s%s", tc.args, code, tc.code, tc.want, stdout, errText)
		}
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a recording that did not begin has made a file: %v", err)
	}
}
