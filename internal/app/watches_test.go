package app_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

const watchJobs = `watches:
  billing:
    namespace: shop
    connection: main
    list: jobs
    target: 20
`

func TestWatchesAreReportedWithoutKEDA(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("RPUSH", "jobs", "a", "b")
	s := start(t, standalone(redis.Addr())+watchJobs, setup{})
	reported := func(line string) func() bool {
		return func() bool {
			_, metrics := s.get("/metrics")
			return strings.Contains(metrics, line+"\n")
		}
	}
	labels := `{connection="main",namespace="shop",queue="jobs",scaledobject="billing",trigger="list-jobs"}`
	redistest.Eventually(t, "the value of the watch", reported("backlog_scaler_trigger_value"+labels+" 2"))
	redistest.Eventually(t, "the target of the watch", reported("backlog_scaler_trigger_target"+labels+" 20"))
	redis.Do("RPUSH", "jobs", "c")
	redistest.Eventually(t, "the new value", reported("backlog_scaler_trigger_value"+labels+" 3"))

	s.configure(standalone(redis.Addr()) + strings.Replace(watchJobs, "list: jobs", "lst: jobs", 1))
	redistest.Eventually(t, "the metric reports a broken file", reported("backlog_scaler_config_last_reload_successful 0"))
	if !strings.Contains(s.log.String(), `did you mean \"list\"`) {
		t.Errorf("the log does not name the nearest key:\n%s", s.log)
	}
	redis.Do("RPUSH", "jobs", "d")
	redistest.Eventually(t, "the value of the old watch", reported("backlog_scaler_trigger_value"+labels+" 4"))

	s.configure(standalone(redis.Addr()))
	redistest.Eventually(t, "the watch is gone", func() bool {
		_, metrics := s.get("/metrics")
		return !strings.Contains(metrics, "backlog_scaler_trigger_value{") &&
			strings.Contains(metrics, "backlog_scaler_config_last_reload_successful 1\n")
	})
}

func TestWatchesMustBeTriggers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scaler.yaml")
	text := standalone("127.0.0.1:1") + strings.Replace(watchJobs, "target", "tagret", 1) +
		"  other: {namespace: shop, connection: mian, list: x}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := app.New(t.Context(), app.Options{
		Config: path, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0",
		Engines: engines.All(), Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`scaler.yaml:7:3: watches.billing: tagret: unknown key, did you mean "target"?`,
		`scaler.yaml:12:3: watches.other: connection: not available: namespace "shop" has no connection "mian", did you mean "main"?`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error\n%v\ndoes not say\n%s", err, want)
		}
	}
}
