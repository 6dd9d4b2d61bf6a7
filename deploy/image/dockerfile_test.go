// Package image holds the tests of the Dockerfile.
//
// What is checked here without a container builder: the file parses without a warning of BuildKit's linter; the
// context holds what it needs and no more; the build commands, as they are written there, make static
// binaries, twice the same; the health check's command succeeds against the scaler. Where buildah is
// installed the final stage is built as well and the image inspected. Not checked: that the base image
// can be pulled and has what the build needs.
package image

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// root is the folder of the Dockerfile, as seen from this package.
const root = "../.."

// A dockerfile is a parsed Dockerfile with the linter's warnings.
type dockerfile struct {
	build, final instructions.Stage
	warnings     []string
}

func parse(t *testing.T, data []byte) dockerfile {
	t.Helper()
	result, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var d dockerfile
	for _, warning := range result.Warnings {
		d.warnings = append(d.warnings, warning.Short)
	}
	stages, _, err := instructions.Parse(result.AST, linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			d.warnings = append(d.warnings, rule+": "+message)
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("the Dockerfile has %d stages, want 2", len(stages))
	}
	d.build, d.final = stages[0], stages[1]
	return d
}

func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, data)
}

// find returns the instructions of one kind.
func find[T instructions.Command](stage instructions.Stage) []T {
	var found []T
	for _, command := range stage.Commands {
		if c, ok := command.(T); ok {
			found = append(found, c)
		}
	}
	return found
}

func TestDockerfileHasNoWarnings(t *testing.T) {
	t.Parallel()
	for _, warning := range readDockerfile(t).warnings {
		t.Error(warning)
	}
	broken := parse(t, []byte("FROM a AS Build\nmaintainer me\nFROM scratch\nENTRYPOINT /scaler\n"))
	if len(broken.warnings) == 0 {
		t.Error("a poor Dockerfile gets no warning")
	}
}

// TestFinalStage checks what the image is: two binaries, certificates and licences, run by the user nobody.
func TestFinalStage(t *testing.T) {
	t.Parallel()
	final := readDockerfile(t).final
	if final.BaseName != "scratch" {
		t.Errorf("the base is %q, want scratch", final.BaseName)
	}
	if n := len(find[*instructions.RunCommand](final)); n > 0 {
		t.Errorf("the final stage has %d RUN: there is no shell", n)
	}
	var copied []string
	for _, c := range find[*instructions.CopyCommand](final) {
		if c.From != "build" {
			t.Errorf("%s copies from %q, want build", c, c.From)
		}
		copied = append(copied, c.DestPath)
	}
	want := []string{"/etc/ssl/certs/ca-certificates.crt", "/LICENSE", "/licenses/", "/licenses/ca-certificates.txt", "/grpc-health-probe", "/scaler"}
	if diff := cmp.Diff(want, copied); diff != "" {
		t.Errorf("files of the image (-want +got):\n%s", diff)
	}
	users := find[*instructions.UserCommand](final)
	if len(users) != 1 || users[0].User != "65532:65532" {
		t.Errorf("users %v, want 65532:65532", users)
	}
	entrypoints := find[*instructions.EntrypointCommand](final)
	if len(entrypoints) != 1 || entrypoints[0].PrependShell || !slices.Equal(entrypoints[0].CmdLine, []string{"/scaler"}) {
		t.Errorf("entrypoints %v, want /scaler without a shell", entrypoints)
	}
	ports := find[*instructions.ExposeCommand](final)
	if len(ports) != 1 || !slices.Equal(slices.Sorted(slices.Values(ports[0].Ports)), []string{"8080", "9090"}) {
		t.Errorf("ports %v, want 8080 and 9090", ports)
	}
	checks := find[*instructions.HealthCheckCommand](final)
	if len(checks) != 1 || checks[0].Health.Test[0] != "CMD" || checks[0].Health.Test[1] != "/grpc-health-probe" {
		t.Errorf("health checks %v, want /grpc-health-probe without a shell", checks)
	}
}

// TestGoVersion holds the toolchain of the image against the versions that the modules ask for.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(data), "\nARG GO_IMAGE=golang:")
	tag, _, _ := strings.Cut(after, "\n")
	version, suite, pinned := strings.Cut(tag, "-")
	if !found || !pinned || suite != "bookworm" || strings.Count(version, ".") != 2 {
		t.Fatalf("GO_IMAGE is not pinned to a patch release of Go and a release of Debian: %q-%q", version, suite)
	}
	for _, module := range []string{"go.mod", "tools/healthprobe/go.mod"} {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(module)))
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(data), "\ngo ")
		needs, _, _ := strings.Cut(after, "\n")
		if compareVersions(version, needs) < 0 {
			t.Errorf("%s needs Go %s, the image is built with %s", module, needs, version)
		}
	}
}
