package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestNoServerIsLinked: what the program links is the scaler. The demo, the benchmark and
// the tests have servers of their own, with a machine of Lua among them, and those stay out
// of the image.
func TestNoServerIsLinked(t *testing.T) {
	t.Parallel()
	const module = "github.com/backlog-scaler/backlog-scaler/"
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("list what is linked: %v", err)
	}
	linked := strings.Fields(string(output))
	if !slices.Contains(linked, module+"internal/app") || !slices.Contains(linked, "google.golang.org/grpc") {
		t.Fatalf("the list has %d packages, and not the scaler's own", len(linked))
	}
	for _, name := range linked {
		for _, barred := range []string{
			module + "internal/demo", module + "internal/bench", module + "internal/hpa", module + "internal/reference", module + "internal/licenses",
			module + "internal/backlog/backlogtest", module + "internal/backlog/redis/redistest", module + "internal/backlog/redis/layout/layouttest",
			"github.com/alicebob/miniredis", "github.com/yuin/gopher-lua", "testing", "os/exec",
		} {
			if name == barred || strings.HasPrefix(name, barred+"/") {
				t.Errorf("the scaler links %s", name)
			}
		}
	}
}
