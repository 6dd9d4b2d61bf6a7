package image

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/backlog-scaler/backlog-scaler/deploy/internal/process"
)

// checkHealth starts the scaler and runs the image's HEALTHCHECK against it, before it is there and while
// it serves.
func checkHealth(t *testing.T, folder string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("connections: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	grpcAddress, _ := process.FreeAddress(t)
	httpAddress, _ := process.FreeAddress(t)
	check := find[*instructions.HealthCheckCommand](readDockerfile(t).final)[0].Health.Test[1:]
	healthy := func(ctx context.Context) error {
		args := strings.Split(strings.ReplaceAll(strings.Join(check[1:], "\n"), "127.0.0.1:9090", grpcAddress), "\n")
		return process.Run(ctx, filepath.Join(folder, filepath.Base(check[0])), args...)
	}
	if err := healthy(t.Context()); err == nil {
		t.Fatal("the health check succeeds with no scaler there")
	}
	scaler := process.Start(t, filepath.Join(folder, "scaler"), "serve",
		"--config="+config, "--grpc-address="+grpcAddress, "--http-address="+httpAddress, "--admin-address=127.0.0.1:0", "--drain-delay=0s")
	if err := process.Poll(t.Context(), 2*time.Minute, healthy); err != nil {
		t.Fatalf("%v\nlog of the scaler:\n%s", err, scaler.Log())
	}
	if err := scaler.Terminate(time.Minute); err != nil {
		t.Errorf("the scaler ends with %v\nlog:\n%s", err, scaler.Log())
	}
}

// checkFinalStage builds the final stage with buildah from the binaries made by the build stage's own
// commands, twice, and inspects the image. Without buildah the other tests have to do.
func checkFinalStage(t *testing.T, folder string) {
	t.Helper()
	if _, err := exec.LookPath("buildah"); err != nil || os.Getuid() != 0 {
		t.Log("no buildah here, or not root: the final stage was parsed and checked, but not built")
		return
	}
	stage := t.TempDir()
	if err := os.CopyFS(filepath.Join(stage, "out"), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"etc/ssl/certs/ca-certificates.crt", "src/LICENSE", "usr/share/doc/ca-certificates/copyright"} {
		to := filepath.Join(stage, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte("a file of the build stage\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(stage, "src", "licenses"), os.DirFS(filepath.Join(root, "licenses"))); err != nil {
		t.Fatal(err)
	}
	storage := t.TempDir()
	buildah := func(args ...string) string {
		t.Helper()
		global := []string{"--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run"), "--storage-driver", "vfs"}
		output, err := exec.CommandContext(t.Context(), "buildah", append(global, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("buildah %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return string(output)
	}
	ids := make([]string, 2)
	for i := range ids {
		file := filepath.Join(storage, fmt.Sprint("id", i))
		buildah("build", "--isolation", "chroot", "--format", "docker", "--no-cache", "--timestamp", "0", "--identity-label=false",
			"--build-context", "build="+stage, "--build-arg", "VERSION="+testVersion, "--iidfile", file,
			"--file", filepath.Join(root, "Dockerfile"), t.TempDir())
		id, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = string(id)
	}
	var inspected struct {
		OCIv1 struct {
			Architecture string
			Config       struct {
				User       string
				Entrypoint []string
				Cmd        []string
				Labels     map[string]string
			}
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
	}
	var layers [2][]string
	for i, id := range ids {
		if err := json.Unmarshal([]byte(buildah("inspect", "--type", "image", id)), &inspected); err != nil {
			t.Fatal(err)
		}
		layers[i] = inspected.OCIv1.RootFS.DiffIDs
	}
	if diff := cmp.Diff(layers[0], layers[1]); diff != "" || len(layers[0]) == 0 {
		t.Errorf("the layers of two builds differ (-first +second):\n%s", diff)
	}
	image := inspected.OCIv1
	got := []string{
		image.Config.User, strings.Join(image.Config.Entrypoint, " "), strings.Join(image.Config.Cmd, " "),
		image.Architecture, image.Config.Labels["org.opencontainers.image.version"],
	}
	if diff := cmp.Diff([]string{"65532:65532", "/scaler", "serve", runtime.GOARCH, testVersion}, got); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	container := strings.TrimSpace(buildah("from", "--pull-never", ids[0]))
	if output := buildah("run", "--isolation", "chroot", container, "--", "/scaler", "version"); !strings.Contains(output, testVersion) {
		t.Errorf("scaler version in the image prints %q", output)
	}
	mounted := strings.TrimSpace(buildah("mount", container))
	for _, name := range append(binaries(), "ca-certificates") {
		if text, err := os.ReadFile(filepath.Join(mounted, "licenses", name+".txt")); err != nil || len(text) == 0 {
			t.Errorf("the image holds %d bytes of the licences of %s: %v", len(text), name, err)
		}
	}
}
