package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestMeasuredNumbers reads numbers over HTTP, and tries the connections.
func TestMeasuredNumbers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/query":
			_, _ = io.WriteString(w, `{"status":"success","warnings":["odd"],"data":{"resultType":"scalar","result":[1,"0.93"]}}`)
		case "/api/v1/status/buildinfo":
			_, _ = io.WriteString(w, `{"status":"success","data":{"version":"3.1.0"}}`)
		case "/v1/expected":
			_, _ = io.WriteString(w, `{"jobs":40}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	config := writeConfig(t, strings.ReplaceAll(`connections:
  metrics: {engine: prometheus, namespaces: [a], url: URL}
  shared: {engine: prometheus, namespaces: [a], url: URL, namespaceLabel: namespace}
  calendar: {engine: http, namespaces: [a], url: URL}
  elsewhere: {engine: prometheus, namespaces: [a], url: URL/other}
`, "URL", server.URL))

	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"--connection metrics --query sum(up)", "query     sum(up) on metrics\nmeasured  0.93\nwarning   odd\n", 0},
		{"--connection shared --query sum(up) --trigger-namespace a", "measured  0.93\n", 0},
		{"--connection shared --query sum(up)", "scaler read takes it from --trigger-namespace", 1},
		{`--connection shared --query up{namespace="b"} --trigger-namespace a`, "query: selects another namespace", 1},
		{"--connection calendar --path /v1/expected --value $.jobs", "path      /v1/expected on calendar\nmeasured  40\n", 0},
		{"--connection calendar --path /v1/expected --value $.job", `read path "/v1/expected" of connection "calendar": mismatch: the answer has nothing at $.job, so the number is unknown`, 1},
	} {
		code, out, errText := scaler(append([]string{"read", "--config", config}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(out+errText, c.want) {
			t.Errorf("read %s: %d, no %q in\n%s%s", c.args, code, c.want, out, errText)
		}
	}
	_, out, _ := scaler("read", "--config", config, "--connection", "metrics", "--query", "up", "--json")
	var got struct{ Measured *float64 }
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Measured == nil || *got.Measured != 0.93 {
		t.Errorf("read --json: %v\n%s", err, out)
	}

	code, out, _ := scaler("check", "--config", config)
	lines := strings.Split(out, "\n")
	for i, want := range []string{"CONNECTION", "calendar", "elsewhere", "change: url: the address under which /api/v1/query is served", "metrics", "shared"} {
		if len(lines) <= i || !strings.HasPrefix(strings.TrimSpace(lines[i]), want) {
			t.Errorf("line %d is not of %q:\n%s", i+1, want, out)
		}
	}
	if code != 1 || !strings.Contains(out, "prometheus 3.1.0") || strings.Count(out, "  ok") != 3 {
		t.Errorf("check: %d\n%s", code, out)
	}
}
