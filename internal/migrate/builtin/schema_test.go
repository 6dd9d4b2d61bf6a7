package builtin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// A schema is KEDA's own list of the keys of its triggers.
type schema struct {
	Scalers []struct {
		Type       string `yaml:"type"`
		Parameters []struct {
			Name     string `yaml:"name"`
			Metadata bool   `yaml:"metadataVariableReadable"`
			Env      bool   `yaml:"envVariableReadable"`
			Auth     bool   `yaml:"triggerAuthenticationVariableReadable"`
		} `yaml:"parameters"`
	} `yaml:"scalers"`
}

// TestSchema compares the tables with the schema of the version of KEDA that go.mod names: each key is there,
// with the places in which KEDA reads it, and no other.
func TestSchema(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2").Output()
	if err != nil {
		t.Fatalf("find KEDA's module: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "schema", "generated", "scalers-schema.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := yaml.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, scaler := range s.Scalers {
		family, ours := builtin.Find(scaler.Type)
		if !ours {
			continue
		}
		seen++
		// A key may be listed twice, for two structures that read it.
		keda := map[string]string{}
		for _, p := range scaler.Parameters {
			for letter, is := range map[string]bool{"M": p.Metadata, "E": p.Env, "A": p.Auth} {
				if is && !strings.Contains(keda[p.Name], letter) {
					keda[p.Name] += letter
				}
			}
		}
		table := map[string]string{}
		for _, k := range family.Keys {
			if table[k.Name] != "" {
				t.Errorf("%s: %s is in the table twice", scaler.Type, k.Name)
			}
			table[k.Name] = k.From
			if _, found := keda[k.Name]; !found && !k.Extra && family.Engine != "logs" {
				t.Errorf("%s: KEDA has no key %s", scaler.Type, k.Name)
			}
		}
		for name, from := range keda {
			if table[name] == "" {
				t.Errorf("%s: the table lacks %s", scaler.Type, name)
				continue
			}
			for _, letter := range "MEA" {
				if strings.ContainsRune(from, letter) != strings.ContainsRune(table[name], letter) && family.Engine != "logs" {
					t.Errorf("%s: %s is read from %s by KEDA, and from %s in the table", scaler.Type, name, from, table[name])
				}
			}
		}
	}
	types := 0
	for _, f := range builtin.Families() {
		types += len(f.Types)
	}
	if seen != types {
		t.Errorf("KEDA has %d of %d triggers", seen, types)
	}
}
