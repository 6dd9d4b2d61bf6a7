package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// Ctrl-C ends the demo: exit code 0, no redis-server and no file left.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	redistest.Program(t)
	program := filepath.Join(t.TempDir(), "scaler-demo")
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the demo: %v\n%s", err, text)
	}
	folder := t.TempDir()
	demo := exec.CommandContext(t.Context(), program, "--grpc-address=127.0.0.1:0", "--http-address=127.0.0.1:0")
	demo.Env = append(os.Environ(), "TMPDIR="+folder)
	output, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	demo.Stderr = demo.Stdout
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	impatient := time.AfterFunc(2*time.Minute, func() { _ = demo.Process.Kill() })
	defer impatient.Stop()

	redis, interrupted := "", false
	var shown strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		shown.WriteString(lines.Text() + "\n")
		if match := regexp.MustCompile(`reads redis-server \S+ on (\S+)\.$`).FindStringSubmatch(lines.Text()); match != nil {
			redis = match[1]
		}
		// Once: a second signal ends the program at once.
		if strings.Contains(lines.Text(), "GetMetricSpec") && !interrupted {
			interrupted = true
			if err := demo.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	}
	if err := demo.Wait(); err != nil {
		t.Errorf("the demo ends with %v", err)
	}
	// The first burst comes after two seconds, which a busy machine may take to end.
	if redis == "" || !regexp.MustCompile(`(?m)^reminders: \d+ messages sent, \d+ done$`).MatchString(shown.String()) {
		t.Errorf("the demo shows\n%s", shown.String())
	}
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", redis); err == nil {
		t.Errorf("the redis-server on %s still listens", redis)
		_ = conn.Close()
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("the demo leaves %v behind (%v)", left, err)
	}
}

func TestDemoFlags(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no polls":    {[]string{"--polling-interval=0s"}, "--polling-interval must be greater than 0"},
		"no syncs":    {[]string{"--hpa-sync=-1s"}, "--hpa-sync must be greater than 0"},
		"no time":     {[]string{"--cooldown=-1s"}, "must not be negative"},
		"no speed":    {[]string{"--speed=0"}, "--speed must be from 0.01 to 100"},
		"two servers": {[]string{"--in-process", "--redis-server=x"}, "can't be used together"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr strings.Builder
			if code := run(test.args, &stdout, &stderr); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), test.want) {
				t.Errorf("it says\n%s\nwant %q", stderr.String(), test.want)
			}
		})
	}
}

// TestPortTaken: the message names the flag that chooses another port.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var stdout, stderr strings.Builder
	code := run([]string{"--in-process", "--grpc-address=127.0.0.1:0", "--http-address=" + taken.Addr().String()}, &stdout, &stderr)
	if want := "choose another address with --http-address, such as --http-address 127.0.0.1:0 for any free port"; code != 1 || !strings.Contains(stderr.String(), want) {
		t.Errorf("exit code %d\n%s\nwant %q", code, stderr.String(), want)
	}
}
