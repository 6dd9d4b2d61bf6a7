package logstest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// StartVictoriaLogs starts VictoriaLogs. The fields app and namespace of an entry name its stream.
func StartVictoriaLogs(t testing.TB) *Server {
	t.Helper()
	return start(t, kind{
		name: "victoria-logs", program: "server", ready: "/health",
		command: func(_ testing.TB, installed, data string, ports []int) childprocess.Command {
			return childprocess.Command{Path: filepath.Join(installed, "server"), Args: []string{
				"-httpListenAddr=" + net.JoinHostPort(host, strconv.Itoa(ports[0])), "-storageDataPath=" + data, "-loggerLevel=WARN",
			}}
		},
		push: pushLines,
	})
}

// pushLines adds one line of JSON for each entry, and makes them visible, which takes a second else:
// https://docs.victoriametrics.com/victorialogs/data-ingestion/#json-stream-api
func pushLines(t testing.TB, _ string, entries []Entry) []request {
	t.Helper()
	var body bytes.Buffer
	for _, e := range entries {
		line := map[string]string{"_time": e.At.UTC().Format(time.RFC3339Nano), "_msg": e.Text}
		maps.Copy(line, e.Fields)
		writeLine(t, &body, line)
	}
	return []request{
		{method: http.MethodPost, path: "/insert/jsonline?_stream_fields=app,namespace", contentType: "application/stream+json", body: body.Bytes()},
		{method: http.MethodGet, path: "/internal/force_flush"},
	}
}

// writeLine writes a value as one line of JSON.
func writeLine(t testing.TB, to *bytes.Buffer, value any) {
	t.Helper()
	if err := json.NewEncoder(to).Encode(value); err != nil {
		t.Fatal(err)
	}
}
