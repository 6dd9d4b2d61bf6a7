package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// scaler runs the program and returns what it printed.
func scaler(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scaler.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// folder returns a folder, and a function that writes a file into it and returns its path.
func folder(t *testing.T) (dir string, file func(name, text string) string) {
	t.Helper()
	dir = t.TempDir()
	return dir, func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

func configFor(t *testing.T, address string) string {
	t.Helper()
	return writeConfig(t, "connections:\n  main:\n    engine: redis\n    namespaces: [none]\n    addresses: ["+address+"]\n")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if code, out, _ := scaler("version"); code != 0 || !strings.HasPrefix(out, "scaler dev (revision ") {
		t.Errorf("%d %q", code, out)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	code, out, _ := scaler("--help")
	for _, command := range []string{"serve", "read", "check", "explain", "watch", "policy", "record", "simulate", "tune", "version"} {
		if code != 0 || !strings.Contains(out, "\n  "+command) {
			t.Errorf("code %d, and the help does not name %q:\n%s", code, command, out)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	config := configFor(t, "127.0.0.1:1")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no command", nil, 2, "expected one of"},
		{"unknown command", []string{"sreve"}, 2, "serve"},
		{"unknown flag", []string{"serve", "--confg", config}, 2, `did you mean "--config"`},
		{"no configuration", []string{"serve"}, 2, "--config"},
		{"half a certificate", []string{"serve", "--config", config, "--tls-cert-file", config}, 2, "--tls-cert-file and --tls-key-file must be set together"},
		{"client authority without a certificate", []string{"serve", "--config", config, "--tls-client-ca-file", config}, 2, "--tls-client-ca-file needs"},
		{"no time at all", []string{"serve", "--config", config, "--read-timeout", "0s"}, 2, "--read-timeout must be greater than 0"},
		{"not a duration", []string{"serve", "--config", config, "--read-timeout", "soon"}, 2, "soon"},
		{"broken configuration", []string{"check", "--config", writeConfig(t, "connection: {}\n")}, 1, `"connections"`},
		{"unknown connection", []string{"read", "--config", config, "--connection", "mian", "--list", "jobs"}, 1, `did you mean "main"`},
		{"no queue", []string{"read", "--config", config, "--connection", "main"}, 1, "no key names the queue"},
		{"nothing there", []string{"read", "--config", config, "--connection", "main", "--list", "jobs"}, 1, "connection refused"},
		{"a ScaledObject without its namespace", []string{"explain", "billing"}, 2, "such as shop/billing"},
		{"no ScaledObject", []string{"explain"}, 2, "such as shop/billing"},
		{"a policy without its namespace", []string{"explain", "--policy", "billing"}, 2, "such as shop/billing"},
		{"a policy and a ScaledObject", []string{"explain", "shop/worker", "--policy", "shop/billing"}, 2, "want one of the two"},
		{"a policy and a trigger", []string{"explain", "--policy", "shop/billing", "--trigger", "list-a"}, 2, "want one of the two"},
		{"another format", []string{"watch", "--output", "xml"}, 2, "--output"},
		{"no scaler to ask", []string{"explain", "shop/billing", "--address", "127.0.0.1:1"}, 1, "port-forward deployment/backlog-scaler 9091"},
		{"no scaler to watch", []string{"watch", "--address", "127.0.0.1:1"}, 1, "no scaler answers at 127.0.0.1:1"},
		{"nothing to check", []string{"check", "--config", config}, 1, "not every connection works"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			code, out, err := scaler(tc.args...)
			if code != tc.code || !strings.Contains(err, tc.want) {
				t.Errorf("code %d, want %d; printed\n%s%s\nwant %q", code, tc.code, out, err, tc.want)
			}
		})
	}
}

func TestReadAndCheck(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("XADD", "orders", "*", "k", "v")
	redis.Do("XADD", "orders", "*", "k", "v")
	redis.Do("XGROUP", "CREATE", "orders", "billing", "0")
	redis.Do("XREADGROUP", "GROUP", "billing", "one", "COUNT", "1", "STREAMS", "orders", ">")
	config := configFor(t, redis.Addr())

	code, out, errText := scaler("check", "--config", config)
	if code != 0 || !strings.Contains(out, "tracking") || !strings.Contains(out, "ok") {
		t.Errorf("check: %d\n%s%s", code, out, errText)
	}

	args := []string{"read", "--config", config, "--connection", "main", "--stream", "orders", "--consumer-group", "billing"}
	code, out, errText = scaler(args...)
	for _, want := range []string{"stream", "orders on main", "backlog", "2 (", "in flight", "1"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("read: %d, no %q in\n%s%s", code, want, out, errText)
		}
	}
	code, out, _ = scaler(append(args, "--json")...)
	var got struct{ Backlog, Ready, InFlight int64 }
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
		t.Fatalf("read --json: %d %v\n%s", code, err, out)
	}
	if got.Backlog != 2 || got.Ready != 1 || got.InFlight != 1 {
		t.Errorf("read --json: %+v", got)
	}
}

func TestReadSeveralQueues(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("RPUSH", "tenant-1", "a", "b", "c")
	redis.Do("RPUSH", "tenant-2", "a")
	args := []string{"read", "--config", configFor(t, redis.Addr()), "--connection", "main", "--list", "tenant-*,other"}
	code, out, errText := scaler(args...)
	for _, want := range []string{
		"list       tenant-*,other on main\nbacklog    4 (exact)\n",
		"queue     ready  due  in flight  note\n",
		"other     0      0    unknown    does not exist\n",
		"tenant-1  3      0    unknown    \ntenant-2  1      0    unknown    \n",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("read: %d, no %q in\n%s%s", code, want, out, errText)
		}
	}
	code, out, _ = scaler(append(args, "--json")...)
	var got struct {
		Ready  int64
		Queues []struct {
			Queue   string
			Ready   int64
			Missing bool
		}
	}
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
		t.Fatalf("read --json: %d %v\n%s", code, err, out)
	}
	if got.Ready != 4 || len(got.Queues) != 3 || !got.Queues[0].Missing || got.Queues[1].Ready != 3 {
		t.Errorf("read --json: %+v", got)
	}
}
