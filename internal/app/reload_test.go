package app_test

import (
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

func TestRotatedPassword(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, redistest.WithConfig("user scaler on >first ~* &* +@all"))
	redis.Do("RPUSH", "jobs", "a")
	secret := filepath.Join(t.TempDir(), "password")
	replaceFile(t, secret, "first\n")
	s := start(t, standalone(redis.Addr(), "username: scaler", "password: {file: "+secret+"}"), setup{})
	s.awaitValue(ref("jobs"), 1)
	redis.Do("ACL", "SETUSER", "scaler", "<first", ">second")
	redis.Do("CLIENT", "KILL", "USER", "scaler")
	redis.Do("RPUSH", "jobs", "b")
	replaceFile(t, secret, "second\n")
	s.awaitValue(ref("jobs"), 2)
	if log := s.log.String(); strings.Contains(log, "first") || strings.Contains(log, "second") {
		t.Errorf("the log tells a password:\n%s", log)
	}
}

func TestBrokenConfigurationKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("RPUSH", "jobs", "a")
	good := standalone(redis.Addr())
	s := start(t, good, setup{})
	s.awaitValue(ref("jobs"), 1)
	s.configure(good + "    usrname: x\n")
	redistest.Eventually(t, "the metric reports a broken file", func() bool {
		_, metrics := s.get("/metrics")
		return strings.Contains(metrics, "backlog_scaler_config_last_reload_successful 0")
	})
	if !strings.Contains(s.log.String(), "username") {
		t.Errorf("the log does not name the nearest key:\n%s", s.log)
	}
	redis.Do("RPUSH", "jobs", "b")
	s.awaitValue(ref("jobs"), 2)
	s.configure(good)
	redistest.Eventually(t, "the metric reports a good file", func() bool {
		_, metrics := s.get("/metrics")
		return strings.Contains(metrics, "backlog_scaler_config_last_reload_successful 1")
	})
}

func TestReloadReconnectsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	stays, moves, next := redistest.Start(t), redistest.Start(t), redistest.Start(t)
	moves.Do("RPUSH", "jobs", "a")
	next.Do("RPUSH", "jobs", "a", "b")
	both := func(second string) string {
		return standalone(stays.Addr()) + strings.Replace(standalone(second), "connections:\n  main:", "  second:", 1)
	}
	s := start(t, both(moves.Addr()), setup{})
	s.awaitValue(ref("jobs"), 0)
	second := ref("jobs", "connection", "second")
	s.awaitValue(second, 1)
	redistest.Eventually(t, "both connections to the server that stays are made", func() bool {
		return strings.Count(text(t, stays, "CLIENT", "LIST"), "name=backlog-scaler") == 2
	})
	before := text(t, stays, "INFO", "stats")
	s.configure(both(next.Addr()))
	s.awaitValue(second, 2)
	if got, want := stat(t, text(t, stays, "INFO", "stats"), "total_connections_received"), stat(t, before, "total_connections_received"); got != want {
		t.Errorf("%d connections were made to the server that stays, %d before the reload", got, want)
	}
	s.configure(standalone(stays.Addr()))
	s.awaitCode(second, codes.PermissionDenied)
	redistest.Eventually(t, "the connection that was removed is closed", func() bool {
		return !strings.Contains(text(t, next, "CLIENT", "LIST"), "name=backlog-scaler")
	})
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := start(t, strings.Replace(standalone(redis.Addr()), "['*']", "['shop', 'team-*']", 1), setup{})
	for namespace, code := range map[string]codes.Code{
		"shop": codes.OK, "team-red": codes.OK, "bank": codes.PermissionDenied, "shopping": codes.PermissionDenied, "": codes.PermissionDenied,
	} {
		r := ref("jobs")
		r.Namespace = namespace
		s.awaitCode(r, code)
	}
}
