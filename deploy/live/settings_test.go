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

// checkSettings holds the chart's schema of the connections of each engine against the keys that the
// scaler itself accepts, which it lists where it is given an unknown one.
func checkSettings(t *testing.T, programs string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "keda", "chart", "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Definitions map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	for _, engine := range scalerSays(t, programs, "nonsense", `there is no engine "nonsense", want one of ([\w, ]+)`) {
		want := scalerSays(t, programs, engine, `unknown key, want one of ([\w, ]+)`)
		got := slices.Sorted(maps.Keys(schema.Definitions[engine].Properties))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("keys of a connection to %s in values.schema.json (-scaler +schema):\n%s", engine, diff)
		}
	}
}

// scalerSays returns the sorted names that scaler check lists for a connection with an unknown key.
func scalerSays(t *testing.T, programs, engine, pattern string) []string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "connections: {orders: {engine: " + engine + ", namespaces: [shop], nonsense: 1}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), filepath.Join(programs, "scaler"), "check", "--config", config).CombinedOutput()
	match := regexp.MustCompile(pattern).FindSubmatch(output)
	if err == nil || match == nil {
		t.Fatalf("scaler check: %v, want an error that lists names\n%s", err, output)
	}
	return slices.Sorted(slices.Values(strings.Split(string(match[1]), ", ")))
}
