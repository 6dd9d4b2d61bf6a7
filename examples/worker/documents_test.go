package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/reference"
)

// root is the folder of the repository.
const root = "../.."

// TestDocumentedCommands runs the commands of the documents about workers, in their order, as one
// script each. Only the ports are others.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"examples/worker/README.md", "docs/workers.md"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
			if err != nil {
				t.Fatal(err)
			}
			var script strings.Builder
			fences, _ := reference.Fences(string(data))
			for _, fence := range fences {
				if fence.Language == "sh" {
					script.WriteString(fence.Text)
				}
			}
			if script.Len() == 0 {
				t.Fatal("the document has no commands")
			}
			runScript(t, script.String())
		})
	}
}

// runScript runs shell commands that use a Redis on port 6379, and serve on port 8080.
func runScript(t *testing.T, script string) {
	t.Helper()
	server := redistest.Start(t)
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	_, redisPort, _ := strings.Cut(server.Addr(), ":")
	script = strings.NewReplacer("6379", redisPort, "8080", strconv.Itoa(ports[0])).Replace(script)
	var output processLog
	shell, err := childprocess.Start(childprocess.Command{
		Path: "/bin/bash", Args: []string{"-euxo", "pipefail", "-c", script}, Dir: root, Stdout: &output, Stderr: &output,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer shell.Kill()
	select {
	case <-shell.Exited():
	case <-time.After(5 * time.Minute):
		t.Fatalf("the commands do not end:\n%s", &output)
	}
	if err := shell.Err(); err != nil {
		t.Errorf("the commands failed: %v\n%s", err, &output)
	}
}
