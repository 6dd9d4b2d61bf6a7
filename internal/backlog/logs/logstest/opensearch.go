package logstest

import (
	"bytes"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// StartOpenSearch starts OpenSearch, whose part of the API that matters here is that of Elasticsearch.
func StartOpenSearch(t testing.TB) *Server {
	t.Helper()
	return start(t, kind{
		name: "opensearch", program: filepath.Join("classes", "SingleNode.class"), ready: "/_cluster/health?wait_for_status=green",
		command: func(_ testing.TB, installed, data string, ports []int) childprocess.Command {
			return childprocess.Command{Path: "java", Args: []string{
				"-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
				"-cp", filepath.Join(installed, "classes") + ":" + filepath.Join(installed, "lib", "*"),
				"SingleNode", data, strconv.Itoa(ports[0]), strconv.Itoa(ports[1]),
			}}
		},
		push: pushDocuments,
	})
}

// pushDocuments adds a document for each entry, and makes them visible:
// https://docs.opensearch.org/latest/api-reference/document-apis/bulk/
func pushDocuments(t testing.TB, index string, entries []Entry) []request {
	t.Helper()
	var body bytes.Buffer
	for _, e := range entries {
		document := map[string]string{"@timestamp": e.At.UTC().Format(time.RFC3339Nano), "message": e.Text}
		maps.Copy(document, e.Fields)
		writeLine(t, &body, map[string]any{"create": map[string]any{}})
		writeLine(t, &body, document)
	}
	return []request{{method: http.MethodPost, path: "/" + index + "/_bulk?refresh=true", contentType: "application/x-ndjson", body: body.Bytes()}}
}
