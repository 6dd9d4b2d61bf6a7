package logstest

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// lokiConfig is a Loki of one process with several tenants, that accepts entries of any age.
const lokiConfig = `auth_enabled: true
server:
  http_listen_address: 127.0.0.1
  http_listen_port: %d
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %d
  log_level: error
ingester:
  lifecycler:
    address: 127.0.0.1
    min_ready_duration: 0s
    final_sleep: 0s
    ring: {kvstore: {store: inmemory}, replication_factor: 1}
schema_config:
  configs:
    - from: 2020-05-15
      store: boltdb
      object_store: filesystem
      schema: v11
      index: {prefix: index_, period: 168h}
storage_config:
  boltdb: {directory: %[3]s/index}
  filesystem: {directory: %[3]s/chunks}
limits_config:
  enforce_metric_name: false
  reject_old_samples: false
`

// StartLoki starts Loki. Every request to it names a tenant: see Server.With.
func StartLoki(t testing.TB) *Server {
	t.Helper()
	return start(t, kind{
		name: "loki", program: "server", ready: "/ready",
		command: func(t testing.TB, installed, data string, ports []int) childprocess.Command {
			t.Helper()
			config := filepath.Join(data, "loki.yaml")
			if err := os.WriteFile(config, fmt.Appendf(nil, lokiConfig, ports[0], ports[1], data), 0o600); err != nil {
				t.Fatal(err)
			}
			return childprocess.Command{Path: filepath.Join(installed, "server"), Args: []string{"-config.file=" + config}, Dir: data}
		},
		push: pushStreams,
	})
}

// A stream of Loki has one set of labels.
type stream struct {
	Labels map[string]string `json:"stream"`
	// Values are pairs of a time in nanoseconds and a text.
	Values [][2]string `json:"values"`
}

// pushStreams adds entries, each as a stream of its own, which Loki joins by their labels:
// https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs
func pushStreams(t testing.TB, _ string, entries []Entry) []request {
	t.Helper()
	streams := make([]stream, 0, len(entries))
	for _, e := range entries {
		streams = append(streams, stream{Labels: e.Fields, Values: [][2]string{{strconv.FormatInt(e.At.UnixNano(), 10), e.Text}}})
	}
	var body bytes.Buffer
	writeLine(t, &body, map[string]any{"streams": streams})
	return []request{{method: http.MethodPost, path: "/loki/api/v1/push", contentType: "application/json", body: body.Bytes()}}
}
