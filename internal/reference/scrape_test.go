package reference

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// scrape returns the metrics of a scaler that KEDA has asked about a stream with
// work in flight, which has every number that there is, and more of it than maxReplicas.
func scrape(t *testing.T) []Metric {
	t.Helper()
	server := redistest.Start(t)
	fillQueues(server)
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, connections(server.Addr())+priced)
	a, err := app.New(t.Context(), app.Options{
		Config: config, GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0",
		ShutdownTimeout: 5 * time.Second, Engines: engines.All(),
		Build: telemetry.NewBuild("test", ""), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient(a.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ref := &pb.ScaledObjectRef{
		Namespace: "shop", Name: "billing",
		ScalerMetadata: map[string]string{"connection": "orders", "stream": "orders", "consumerGroup": "billing", "target": "1", "maxReplicas": "2"},
	}
	if _, err := pb.NewExternalScalerClient(conn).IsActive(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	stream, err := pb.NewExternalScalerClient(conn).StreamIsActive(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	var metrics []Metric
	redistest.Eventually(t, "the scaler knows how it is woken", func() bool {
		metrics = get(t, "http://"+a.HTTPAddr().String()+"/metrics")
		for _, m := range metrics {
			if m.Name == "backlog_scaler_connection_wakeup_mode" {
				return true
			}
		}
		return false
	})
	return metrics
}

func get(t *testing.T, url string) []Metric {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := ParseMetrics(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return metrics
}

// fillQueues makes the queues that the documents read.
func fillQueues(server *redistest.Server) {
	for range 12 {
		server.Do("LPUSH", "emails", "a message")
	}
	server.Do("XGROUP", "CREATE", "orders", "billing", "0", "MKSTREAM")
	for range 5 {
		server.Do("XADD", "orders", "*", "order", "one")
	}
	server.Do("XREADGROUP", "GROUP", "billing", "worker-1", "COUNT", 2, "STREAMS", "orders", ">")
}

// priced is a connection to an engine whose calls have a price, which no trigger uses.
const priced = `  aws:
    engine: sqs
    namespaces: ["shop"]
    region: eu-central-1
`

// connections is a configuration with every connection that the commands of documents use.
func connections(address string) string {
	return strings.ReplaceAll(`connections:
  orders:
    engine: redis
    namespaces: ["shop", "team-*"]
    addresses: ["ADDRESS"]
`, "ADDRESS", address)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
