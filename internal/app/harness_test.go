package app_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

func TestMain(m *testing.M) { backlogtest.Main(m) }

// testTimeout bounds what a test waits for. It passes only where something is wrong.
const testTimeout = time.Minute

// A scaler is a whole scaler on real ports, and a client of it.
type scaler struct {
	*testing.T
	app    *app.App
	config string
	conn   *grpc.ClientConn
	client pb.ExternalScalerClient
	log    *logBuffer
	stop   func()
	// ended delivers what Run returned.
	ended chan error
}

// A setup changes how a scaler is started.
type setup struct {
	options func(*app.Options)
	tls     *tls.Config
}

// start runs a scaler with the configuration, whose secrets and times the test
// may change, until the test ends.
func start(t *testing.T, configuration string, with setup) *scaler {
	t.Helper()
	s := &scaler{T: t, config: filepath.Join(t.TempDir(), "scaler.yaml"), log: &logBuffer{}, ended: make(chan error, 1)}
	s.configure(configuration)
	options := app.Options{
		Config:          s.config,
		GRPCAddress:     "127.0.0.1:0",
		HTTPAddress:     "127.0.0.1:0",
		AdminAddress:    "127.0.0.1:0",
		ShutdownTimeout: 5 * time.Second,
		Sampling: sampler.Options{
			SafetyInterval: time.Second, ActiveInterval: 200 * time.Millisecond,
			// More than a busy machine takes for a queue that can be read.
			ReadTimeout: 5 * time.Second, FirstReading: testTimeout,
		},
		Engines: engines.All(),
		Build:   telemetry.NewBuild("test", ""),
		Logger:  slog.New(slog.NewTextHandler(s.log, nil)),
	}
	if with.options != nil {
		with.options(&options)
	}
	a, err := app.New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	s.app = a
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() { s.ended <- a.Run(ctx) }()
	client := s.dial(with.tls)
	s.conn, s.client = client.conn, client.client
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-s.ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(s.stop)
	return s
}

// dial returns a further client of the scaler. config may be nil: then it speaks
// plain text.
func (s *scaler) dial(config *tls.Config) *scaler {
	s.Helper()
	creds := insecure.NewCredentials()
	if config != nil {
		creds = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(s.app.GRPCAddr().String(), grpc.WithTransportCredentials(creds))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := conn.Close(); err != nil {
			s.Error(err)
		}
	})
	return &scaler{T: s.T, app: s.app, conn: conn, client: pb.NewExternalScalerClient(conn)}
}

// dialAt returns a connection to another port of the scaler, in plain text.
func (s *scaler) dialAt(address string) *grpc.ClientConn {
	s.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := conn.Close(); err != nil {
			s.Error(err)
		}
	})
	return conn
}

// configure replaces the configuration file, as an editor would.
func (s *scaler) configure(text string) {
	s.Helper()
	replaceFile(s.T, s.config, text)
}

func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// standalone is a configuration of one connection to addresses, with more lines.
func standalone(addresses string, lines ...string) string {
	return fmt.Sprintf("connections:\n  main:\n    engine: redis\n    namespaces: ['*']\n    addresses: [%q]\n", addresses) +
		indent(lines)
}

func several(addresses []string, lines ...string) string {
	return fmt.Sprintf("connections:\n  main:\n    engine: redis\n    namespaces: ['*']\n    addresses: ['%s']\n", strings.Join(addresses, "', '")) +
		indent(lines)
}

func indent(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString("    " + line + "\n")
	}
	return b.String()
}

// ref is a trigger on a list, with further metadata in pairs.
func ref(list string, pairs ...string) *pb.ScaledObjectRef {
	metadata := map[string]string{"connection": "main", "list": list}
	for i := 0; i < len(pairs); i += 2 {
		metadata[pairs[i]] = pairs[i+1]
	}
	return &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: metadata}
}

// ask returns the value and activity that KEDA would get.
func (s *scaler) ask(r *pb.ScaledObjectRef) (value float64, active bool, err error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), testTimeout)
	defer cancel()
	metrics, err := s.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: r})
	if err != nil {
		return 0, false, err
	}
	activity, err := s.client.IsActive(ctx, r)
	if err != nil {
		return 0, false, err
	}
	return metrics.GetMetricValues()[0].GetMetricValueFloat(), activity.GetResult(), nil
}

// awaitValue waits until the trigger's value is want.
func (s *scaler) awaitValue(r *pb.ScaledObjectRef, want float64) {
	s.Helper()
	redistest.Eventually(s.T, fmt.Sprintf("value %v", want), func() bool {
		value, _, err := s.ask(r)
		return err == nil && value == want
	})
}

// awaitCode waits until the trigger's answer is an error of the code.
func (s *scaler) awaitCode(r *pb.ScaledObjectRef, want codes.Code) {
	s.Helper()
	redistest.Eventually(s.T, want.String(), func() bool {
		_, _, err := s.ask(r)
		return status.Code(err) == want
	})
}

// get returns the body of a page of the HTTP port.
func (s *scaler) get(path string) (code int, body string) {
	s.Helper()
	code, body, err := s.tryGet(path)
	if err != nil {
		s.Fatal(err)
	}
	return code, body
}

// tryGet does the same, and returns the error if nothing is served any more.
func (s *scaler) tryGet(path string) (code int, body string, err error) {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "http://"+s.app.HTTPAddr().String()+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	return send(request)
}

// send sends a request over a connection of its own, and returns the status and the body.
func send(request *http.Request) (code int, body string, err error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, string(data), err
}

// A logBuffer keeps a log. It is safe for concurrent use.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
