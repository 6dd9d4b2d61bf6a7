package app_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

func TestShutdown(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("RPUSH", "jobs", "a")
	// A machine that is so busy that the drain delay is over before it is asked proves
	// nothing; then the delay is longer.
	for drain := 700 * time.Millisecond; !shutDown(t, redis, drain); drain *= 4 {
		t.Logf("the drain delay of %s was over too soon", drain)
	}
}

// shutDown stops a scaler and returns whether it was asked within the drain delay.
func shutDown(t *testing.T, redis *redistest.Server, drain time.Duration) (inTime bool) {
	t.Helper()
	s := start(t, standalone(redis.Addr()), setup{options: func(o *app.Options) { o.DrainDelay = drain }})
	stream, err := s.client.StreamIsActive(t.Context(), ref("jobs"))
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := stream.Recv(); err != nil || !reply.GetResult() {
		t.Fatalf("first message %v (%v), want active", reply, err)
	}
	if code, body := s.get("/readyz"); code != 200 || body != "ok\n" {
		t.Errorf("while serving: %d %s", code, body)
	}
	began := time.Now()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.stop()
	}()
	redistest.Eventually(t, "unready", func() bool {
		if time.Since(began) > drain {
			return true
		}
		code, body, err := s.tryGet("/readyz")
		return err == nil && code == 503 && body == "draining\n"
	})
	value, active, askErr := s.ask(ref("jobs"))
	inTime = time.Since(began) < drain
	if inTime && (askErr != nil || value != 1 || !active) {
		t.Errorf("while draining: %v %t %v, want answers as before", value, active, askErr)
	}
	for {
		if _, err := stream.Recv(); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("the stream ended with %v, want EOF", err)
			}
			break
		}
	}
	if took := time.Since(began); took < drain {
		t.Errorf("the stream ended %s after the signal, want the drain delay of %s first", took, drain)
	}
	<-stopped
	redistest.Eventually(t, "Redis is let go", func() bool {
		return !strings.Contains(text(t, redis, "CLIENT", "LIST"), "name=backlog-scaler")
	})
	return inTime
}

func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := start(t, standalone(redis.Addr()), setup{options: func(o *app.Options) {
		o.ShutdownTimeout = 500 * time.Millisecond
		o.Sampling = sampler.Options{FirstReading: time.Minute, ReadTimeout: 2 * time.Second}
	}})
	redis.Freeze()
	asked := make(chan error, 1)
	go func() {
		_, _, err := s.ask(ref("jobs")) // hangs for as long as its first reading does
		asked <- err
	}()
	redistest.Eventually(t, "the call has arrived", func() bool {
		_, metrics := s.get("/metrics")
		return strings.Contains(metrics, `grpc_server_started_total{grpc_method="GetMetrics",grpc_service="externalscaler.ExternalScaler",grpc_type="unary"} 1`)
	})
	began := time.Now()
	s.stop()
	// Less than the call takes that hangs.
	if took := time.Since(began); took > testTimeout/2 {
		t.Errorf("the shutdown took %s", took)
	}
	if err := <-asked; status.Code(err) != codes.Unavailable {
		t.Errorf("the call that hung ended with %v, want Unavailable", err)
	}
	redis.Thaw()
}

func TestStartUpFaults(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", standalone("127.0.0.1:1"))
	for _, tc := range []struct {
		name   string
		change func(*app.Options)
		want   []string
	}{
		{"no such file", func(o *app.Options) { o.Config = filepath.Join(folder, "none.yaml") }, []string{"none.yaml"}},
		{
			"every fault of the file at once",
			func(o *app.Options) {
				o.Config = write("bad.yaml", "connections:\n  main:\n    engin: redis\n  other:\n    engine: redos\n    namespaces: []\n")
			},
			[]string{"bad.yaml:3:5", "engine", "bad.yaml:5", "redis"},
		},
		{"port in use", func(o *app.Options) { o.GRPCAddress = taken.Addr().String() }, []string{"listen for gRPC", "address already in use"}},
		{"no certificate", func(o *app.Options) { o.TLS = server.TLSFiles{Cert: "none.pem", Key: "none.key"} }, []string{"none.pem"}},
		{
			"certificate that is none",
			func(o *app.Options) { o.TLS = server.TLSFiles{Cert: good, Key: good} },
			[]string{"use certificate", "good.yaml"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			options := app.Options{
				Config: good, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0",
				Engines: engines.All(), Logger: slog.New(slog.DiscardHandler),
			}
			tc.change(&options)
			_, err := app.New(t.Context(), options)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error\n%v\ndoes not say %q", err, want)
				}
			}
		})
	}
}

func TestReflectionAndHealthAreServed(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := start(t, standalone(redis.Addr()), setup{})
	stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]bool{}
	for _, service := range reply.GetListServicesResponse().GetService() {
		services[service.GetName()] = true
	}
	if !services["externalscaler.ExternalScaler"] || !services["grpc.health.v1.Health"] {
		t.Errorf("services %v", services)
	}
	health, err := healthpb.NewHealthClient(s.conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: server.ServiceReadiness})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health %v (%v)", health, err)
	}
}
