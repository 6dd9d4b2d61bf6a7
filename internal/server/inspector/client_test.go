package inspector_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// TestWatchOfASilentScaler: a watch ends when messages stop although the connection stands, as that of a machine that
// is gone or a process that is stopped. A show that takes its time is no silence.
func TestWatchOfASilentScaler(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(*backlogtest.Proxy){
		"before the first message": func(p *backlogtest.Proxy) { p.BlackHole() },
		"after it":                 func(*backlogtest.Proxy) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := backlogtest.NewProxy(t, serveInspector(t))
			outage(proxy)
			client, err := inspector.NewClient(proxy.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			// A message comes each two seconds. The first one may take its time on a busy machine.
			const silence = 3 * time.Second
			if name == "before the first message" {
				client.SetSilence(silence)
			}
			shown := 0
			err = client.Watch(t.Context(), &pb.WatchDecisionsRequest{}, func(*pb.WatchDecisionsResponse) error {
				shown++
				client.SetSilence(silence)
				time.Sleep(silence + time.Second)
				proxy.BlackHole()
				return nil
			})
			if !errors.Is(err, inspector.ErrUnreachable) || !strings.HasSuffix(err.Error(), "nothing came for 3s") {
				t.Errorf("%v", err)
			}
			if (shown > 0) != (name == "after it") {
				t.Errorf("%d messages", shown)
			}
		})
	}
}
