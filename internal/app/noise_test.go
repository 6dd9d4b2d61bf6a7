package app_test

import (
	"fmt"
	"strings"
	"testing"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// TestManyTriggersMakeFewLines: 300 triggers whose queues do not exist, and names that come
// and go, are ten lines of the log and one that counts the others.
func TestManyTriggersMakeFewLines(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var page logBuffer
	log := telemetry.NewLog(&page, telemetry.FormatText, 0, backlog.Line)
	defer log.Close()
	s := start(t, standalone(server.Addr()), setup{options: func(o *app.Options) { o.Logger = log.Logger }})
	refs := map[string]*pb.ScaledObjectRef{}
	for i := range 300 {
		r := frameworkRef("main", "sidekiq", fmt.Sprintf("lost-%d", i))
		r.Name = fmt.Sprintf("worker-%d", i)
		refs[r.Name] = r
	}
	for i := range 10 {
		server.Do("SADD", "queues", fmt.Sprintf("new-%d", i))
		server.Do("LPUSH", fmt.Sprintf("queue:lost-%d", i), "{}")
		s.published(refs)
		server.Do("DEL", fmt.Sprintf("queue:lost-%d", i))
	}
	s.stop()
	log.Close()
	const line = "queue read with a warning"
	text := page.String()
	// A busy machine may need two windows.
	written, summaries := strings.Count(text, `msg="`+line), strings.Count(text, `msg="log lines suppressed" line="`+line)
	if written < 10 || written > 10*(summaries+1) || summaries == 0 {
		t.Errorf("%d lines and %d summaries:\n%.3000s", written, summaries, text)
	}
}
