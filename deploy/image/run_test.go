package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// checkHealth starts the scaler and runs the image's HEALTHCHECK against it, before and after it ends.
func checkHealth(t *testing.T, folder string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("connections: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	check := find[*instructions.HealthCheckCommand](readDockerfile(t).final)[0].Health.Test[1:]
	healthy := func(ctx context.Context) error {
		args := strings.Split(strings.ReplaceAll(strings.Join(check[1:], "\n"), "127.0.0.1:9090", address), "\n")
		_, err := inspect(ctx, filepath.Join(folder, filepath.Base(check[0])), args...)
		return err
	}
	if err := healthy(t.Context()); err == nil {
		t.Fatal("the health check succeeds with no scaler there")
	}
	var log bytes.Buffer
	scaler := exec.CommandContext(t.Context(), filepath.Join(folder, "scaler"), "serve", //nolint:gosec // built here
		"--config="+config, "--grpc-address="+address, "--http-address="+freeAddress(t), "--drain-delay=0s")
	scaler.Stdout, scaler.Stderr = &log, &log
	scaler.Cancel = func() error { return scaler.Process.Signal(syscall.SIGTERM) }
	scaler.WaitDelay = 10 * time.Second
	if err := scaler.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- scaler.Wait() }()
	if err := poll(t.Context(), 20*time.Second, healthy); err != nil {
		_ = scaler.Process.Kill()
		<-ended
		t.Fatalf("%v\nlog of the scaler:\n%s", err, log.String())
	}
	if err := scaler.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the scaler ends with %v after SIGTERM\nlog:\n%s", err, log.String())
		}
	case <-time.After(20 * time.Second):
		_ = scaler.Process.Kill()
		<-ended
		t.Errorf("the scaler does not end after SIGTERM\nlog:\n%s", log.String())
	}
}

// freeAddress returns a port of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing was sent
	return listener.Addr().String()
}

// poll calls f until it succeeds or the time is over.
func poll(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait %s: %w", limit, err)
		case <-tick.C:
		}
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
	for _, file := range []string{"etc/ssl/certs/ca-certificates.crt", "src/LICENSE"} {
		to := filepath.Join(stage, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a folder of an image
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte("a file of the build stage\n"), 0o644); err != nil { //nolint:gosec // a file of an image
			t.Fatal(err)
		}
	}
	storage := t.TempDir()
	buildah := func(args ...string) string {
		t.Helper()
		global := []string{"--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run"), "--storage-driver", "vfs"}
		output, err := inspect(t.Context(), "buildah", append(global, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return output
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
}
