package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/backlog-scaler/backlog-scaler/"

// mayImport is the import table: for each package, which others of the module it
// may know. Engines may know backlog alone, and how to find the name that a user
// meant, so that one more is one folder and one line in engines.
func mayImport() map[string][]string {
	return map[string][]string{
		"cmd/scaler": {
			"gen/*", "internal/app", "internal/backlog", "internal/backlog/engines", "internal/cli", "internal/config", "internal/explain",
			"internal/sampler", "internal/server", "internal/server/inspector", "internal/telemetry", "internal/trigger",
		},
		"cmd/scaler-demo":                          {"*"},
		"gen/*":                                    {},
		"internal/app":                             {"internal/backlog", "internal/config", "internal/sampler", "internal/server", "internal/server/connlimit", "internal/server/inspector", "internal/telemetry", "internal/trigger"},
		"internal/backlog":                         {"internal/spelling"},
		"internal/backlog/backlogtest":             {"internal/backlog"},
		"internal/backlog/engines":                 {"internal/backlog", "internal/backlog/*"},
		"internal/backlog/*":                       {"internal/backlog", "internal/spelling"},
		"internal/childprocess":                    {},
		"internal/terminal":                        {},
		"internal/cli":                             {},
		"internal/config":                          {"internal/backlog", "internal/spelling"},
		"internal/demo":                            {"*"},
		"internal/demo/*":                          {"*"},
		"internal/explain":                         {"gen/*", "internal/terminal"},
		"internal/hpa":                             {},
		"internal/licenses":                        {},
		"internal/decision":                        {"internal/backlog"},
		"internal/reference":                       {"*"},
		"internal/reference/*":                     {"*"},
		"internal/sampler":                         {"internal/backlog"},
		"internal/server":                          {"internal/backlog", "internal/decision", "internal/server/connlimit", "internal/server/refcodec", "internal/trigger"},
		"internal/server/connlimit":                {},
		"internal/server/refcodec":                 {},
		"internal/server/inspector":                {"gen/*", "internal/backlog", "internal/decision", "internal/server", "internal/spelling"},
		"internal/spelling":                        {},
		"tools/prose":                              {},
		"worker":                                   {},
		"examples/worker":                          {"worker"},
		"internal/soak":                            {"*"},
		"internal/soak/*":                          {"internal/backlog", "internal/soak/*"},
		"internal/soak/redisstage":                 {"internal/backlog/backlogtest", "internal/backlog/redis/redistest", "internal/soak/*"},
		"internal/telemetry":                       {},
		"internal/trigger":                         {"internal/backlog", "internal/decision", "internal/spelling"},
		"internal/backlog/redis":                   {"internal/backlog", "internal/backlog/redis/*", "internal/spelling"},
		"internal/backlog/redis/conn":              {"internal/backlog", "internal/backlog/redis/resp"},
		"internal/backlog/redis/conn/node":         {"internal/backlog", "internal/backlog/redis/conn", "internal/backlog/redis/resp"},
		"internal/backlog/redis/conn/topology":     {"internal/backlog", "internal/backlog/redis/conn", "internal/backlog/redis/conn/node", "internal/backlog/redis/resp"},
		"internal/backlog/redis/*":                 {},
		"internal/backlog/redis/resp":              {"internal/backlog"},
		"internal/backlog/redis/keyscan":           {"internal/backlog", "internal/backlog/redis/conn", "internal/backlog/redis/conn/node", "internal/backlog/redis/conn/topology", "internal/backlog/redis/layout", "internal/backlog/redis/resp"},
		"internal/backlog/redis/layout":            {"internal/backlog", "internal/backlog/redis/resp", "internal/spelling"},
		"internal/backlog/redis/layout/*":          {"internal/backlog", "internal/backlog/redis/layout", "internal/backlog/redis/resp"},
		"internal/backlog/redis/layout/layouttest": {"*"},
		"internal/backlog/redis/layout/taskiq":     {"internal/backlog", "internal/backlog/redis/layout", "internal/backlog/redis/layout/native"},
	}
}

// homes are the packages in which alone a dependency, or a part of the standard
// library, may appear.
func homes() map[string][]string {
	return map[string][]string{
		"github.com/redis/go-redis/v9":                              {"examples/worker", "internal/backlog/redis/conn", "internal/backlog/redis/layout/layouttest", "internal/backlog/redis/redistest", "internal/demo", "internal/demo/*", "internal/soak/redisstage"},
		"github.com/kedacore/keda/v2/pkg/scalers/externalscaler":    {"internal/server", "internal/server/refcodec", "internal/backlog/redis/layout/layouttest", "internal/demo", "internal/demo/*", "internal/soak"},
		"google.golang.org/grpc/codes":                              {"internal/server", "internal/server/*", "gen/*", "internal/demo/*", "internal/soak"},
		"google.golang.org/grpc/status":                             {"internal/server", "internal/server/*", "gen/*", "internal/demo/*", "internal/soak"},
		"go.yaml.in/yaml/v3":                                        {"internal/config", "internal/demo/*", "internal/reference", "internal/reference/*"},
		"github.com/alecthomas/kong":                                {"cmd/scaler", "cmd/scaler-demo", "internal/reference", "internal/reference/*"},
		"github.com/prometheus/client_golang/prometheus/collectors": {"internal/telemetry"},
		"github.com/alicebob/miniredis/v2":                          {"internal/demo", "internal/demo/*"},
	}
}

// pure packages have no context, clock, logger, goroutine or I/O; what they may
// import of the standard library is listed.
func pure() map[string][]string {
	arithmetic := []string{"cmp", "errors", "fmt", "hash/fnv", "maps", "math", "slices", "strconv", "strings", "time"}
	return map[string][]string{
		"internal/decision":           arithmetic,
		"internal/backlog/redis/resp": arithmetic,
		"internal/trigger":            arithmetic,
		"internal/hpa":                arithmetic,
		"internal/spelling":           arithmetic,
	}
}

// A goPackage is the output of go list for a package.
type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestImportTable(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	command.Dir = "../.."
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("list packages: %v\n%s", err, &stderr)
	}
	decoder := json.NewDecoder(bytes.NewReader(output))
	seen := 0
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		checkImports(t, strings.TrimPrefix(p.ImportPath, module), p.Imports)
	}
	if seen < 10 {
		t.Errorf("%d packages were listed; the check did not see the module", seen)
	}
}

func checkImports(t *testing.T, name string, imports []string) {
	t.Helper()
	allowed, listed := lookUp(mayImport(), name)
	if !listed {
		t.Errorf("package %s is not in the import table", name)
		return
	}
	standard, isPure := pure()[name]
	for _, imported := range imports {
		own, isOwn := strings.CutPrefix(imported, module)
		switch {
		case isOwn && !matches(allowed, own):
			t.Errorf("package %s may not import %s, only %v", name, own, allowed)
		case !isOwn && isPure && !slices.Contains(standard, imported):
			t.Errorf("package %s is pure and may not import %s", name, imported)
		}
		if home, bound := homes()[imported]; bound && !matches(home, name) {
			t.Errorf("package %s may not import %s, whose home is %v", name, imported, home)
		}
	}
}

// lookUp finds the entry of a package: its own, else that of the longest pattern.
func lookUp(table map[string][]string, name string) (allowed []string, found bool) {
	if allowed, found = table[name]; found {
		return allowed, true
	}
	for i := strings.LastIndex(name, "/"); i > 0; i = strings.LastIndex(name[:i], "/") {
		if allowed, found = table[name[:i]+"/*"]; found {
			return allowed, true
		}
	}
	return nil, false
}

// matches reports whether name is one of patterns; "a/*" matches every package below a.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		below, isPattern := strings.CutSuffix(pattern, "*")
		return pattern == name || isPattern && strings.HasPrefix(name, below)
	})
}
