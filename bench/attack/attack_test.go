package attack

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

func TestPaced(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		takes       time.Duration
		callers     int
		least, most int64
	}{
		"the pace is kept":        {0, 1, 1990, 2000},
		"callers bound the load":  {100 * time.Millisecond, 2, 190, 202},
		"misses are not made up":  {time.Second, 1, 10, 11},
		"none is called too soon": {time.Millisecond, 16, 1980, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				var done atomic.Int64
				paced(ctx, 200, test.callers, func(int) {
					time.Sleep(test.takes)
					done.Add(1)
				})
				if n := done.Load(); n < test.least || n > test.most {
					t.Errorf("%d calls in 10 s, want %d to %d", n, test.least, test.most)
				}
			})
		})
	}
}

// TestLarge: the metadata is what the scaler accepts just so.
func TestLarge(t *testing.T) {
	t.Parallel()
	size := 0
	for key, value := range ref("large", large(1_000_000)).GetScalerMetadata() {
		size += len(key) + len(value)
	}
	if size > 64<<10 || size < 60<<10 {
		t.Errorf("%d bytes, want nearly 64 KiB", size)
	}
}

// A counter counts the calls whose headers have come.
type counter struct{ calls atomic.Int64 }

func (c *counter) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	c.calls.Add(1)
	return ctx
}
func (*counter) HandleRPC(context.Context, stats.RPCStats)                         {}
func (*counter) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*counter) HandleConn(context.Context, stats.ConnStats)                       {}

// TestHeaders: calls reach a server of gRPC and stay open there.
func TestHeaders(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var seen counter
	server := grpc.NewServer(grpc.StatsHandler(&seen))
	pb.RegisterExternalScalerServer(server, pb.UnimplementedExternalScalerServer{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, "headers", listener.Addr().String(), "127.0.0.1:1", io.Discard) }()
	for seen.calls.Load() < 1000 && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	if n := seen.calls.Load(); n < 1000 {
		t.Errorf("%d calls have come", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	if err := Run(t.Context(), "nothing", "127.0.0.1:1", "127.0.0.1:1", io.Discard); err == nil {
		t.Error("an unknown attack is no error")
	}
}
