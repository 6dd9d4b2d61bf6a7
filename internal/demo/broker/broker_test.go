package broker

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// check uses a broker, ends it, and checks that it is gone.
func check(t *testing.T, b *Broker) {
	t.Helper()
	client := b.Client(3)
	if err := client.LPush(t.Context(), "jobs", "one").Err(); err != nil {
		t.Errorf("use %s: %v", b.Name, err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	b.Close()
	b.Close() // is idempotent
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", b.Addr); err == nil {
		t.Errorf("%s still listens", b.Name)
		_ = conn.Close()
	}
}

func TestRedisServer(t *testing.T) {
	redistest.Program(t)
	dir := t.TempDir()
	b, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.Name, "redis-server ") || b.Missing != "" {
		t.Errorf("%q, missing %q; want a redis-server", b.Name, b.Missing)
	}
	check(t, b)
	<-b.Ended()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v behind (%v)", left, err)
	}
}

func TestInProcess(t *testing.T) {
	for name, test := range map[string]struct {
		path    string
		options Options
		missing string
	}{
		"wanted":        {os.Getenv("PATH"), Options{InProcess: true}, "none was wanted"},
		"not installed": {t.TempDir(), Options{}, "none is installed"},
		"broken":        {broken(t), Options{Dir: t.TempDir()}, "it has ended: no memory today"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", test.path)
			b, err := Start(t.Context(), test.options)
			if err != nil {
				t.Fatal(err)
			}
			if b.Name != "a server inside this process" || !strings.HasSuffix(b.Missing, test.missing) {
				t.Errorf("%q, missing %q; want it inside the process, missing %q", b.Name, b.Missing, test.missing)
			}
			check(t, b)
		})
	}
}

// broken makes a folder with a redis-server that does not run.
func broken(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "redis-server"), []byte("#!/bin/sh\necho no memory today\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNamed(t *testing.T) {
	if _, err := Start(t.Context(), Options{Program: filepath.Join(t.TempDir(), "nothing")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want one of a file that does not exist", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
}

func TestVersion(t *testing.T) {
	for info, want := range map[string]string{
		"# Server\r\nredis_version:7.0.15\r\n":                        "7.0.15",
		"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\n": "9.1.2",
		"": "of unknown version",
	} {
		if got := version(info); got != want {
			t.Errorf("version of %q is %q, want %q", info, got, want)
		}
	}
}
