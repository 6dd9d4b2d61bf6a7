package live

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkSettings holds the chart's schema of a connection against the keys that the scaler itself accepts,
// which it lists where it is given an unknown one.
func checkSettings(t *testing.T, programs string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "connections: {orders: {engine: redis, namespaces: [shop], addresses: ['redis:6379'], nonsense: 1}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), filepath.Join(programs, "scaler"), "check", "--config", config).CombinedOutput()
	match := regexp.MustCompile(`unknown key, want one of ([\w, ]+)`).FindSubmatch(output)
	if err == nil || match == nil {
		t.Fatalf("scaler check: %v, want an error that lists the keys\n%s", err, output)
	}
	data, err := os.ReadFile(filepath.Join("..", "keda", "chart", "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Definitions struct {
			Redis struct {
				Properties map[string]any `json:"properties"`
			} `json:"redis"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(strings.Split(string(match[1]), ", ")))
	got := slices.Sorted(maps.Keys(schema.Definitions.Redis.Properties))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of a redis connection in values.schema.json (-scaler +schema):\n%s", diff)
	}
}
