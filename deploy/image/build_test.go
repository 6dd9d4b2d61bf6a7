package image

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

const testVersion = "v1.2.3-test"

func compareVersions(a, b string) int { return version.Compare("go"+a, "go"+b) }

// binaries are the two files that the build stage makes.
func binaries() []string { return []string{"scaler", "grpc-health-probe"} }

// build runs the build stage's own commands on a copy of sources and returns the folder of the results.
// An empty cache means the one of everyday.
func build(t *testing.T, sources, cache string) string {
	t.Helper()
	source, out := t.TempDir(), t.TempDir()
	if err := os.CopyFS(source, os.DirFS(sources)); err != nil {
		t.Fatal(err)
	}
	stage := readDockerfile(t).build
	env := append(os.Environ(), "VERSION="+testVersion, "REVISION=0123abcd", "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH)
	if cache != "" {
		env = append(env, "GOCACHE="+cache)
	}
	for _, c := range find[*instructions.EnvCommand](stage) {
		for _, pair := range c.Env {
			if pair.Key == "GOCACHE" {
				continue // A folder of the image; here it is cache, or the machine's own.
			}
			env = append(env, pair.Key+"="+strings.Trim(pair.Value, `"`))
		}
	}
	runs := find[*instructions.RunCommand](stage)
	if len(runs) != len(binaries()) {
		t.Fatalf("the build stage has %d RUN, want %d", len(runs), len(binaries()))
	}
	for _, run := range runs {
		script := strings.ReplaceAll(strings.Join(run.CmdLine, " "), " /out/", " "+out+"/")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Dir, cmd.Env = source, env
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("run %q: %v\n%s", script, err, output)
		}
	}
	return out
}

// otherCache is a build cache of its own, so that the second build compiles every package for itself.
// It stays for the next time, because nothing in it is taken from the first.
func otherCache(t *testing.T) string {
	t.Helper()
	folder, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "backlog-scaler-second-build")
}

// TestBuild runs the Dockerfile's build commands twice, in different folders with different caches.
func TestBuild(t *testing.T) {
	t.Parallel()
	sources := t.TempDir() // both builds are of the same moment, whatever is edited meanwhile
	copyContext(t, sources)
	first, second := build(t, sources, ""), build(t, sources, otherCache(t))
	for _, name := range binaries() {
		file := filepath.Join(first, name)
		if a, b := sum(t, file), sum(t, filepath.Join(second, name)); a != b {
			t.Errorf("%s is not reproducible: %x, %x", name, a, b)
		}
		checkStatic(t, file)
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range info.Settings {
			if strings.HasPrefix(setting.Key, "vcs") {
				t.Errorf("%s depends on the repository's state: %s=%s", name, setting.Key, setting.Value)
			}
		}
	}
	if runtime.GOOS != "linux" {
		t.Log("this is not Linux: the binaries were built and compared, but not run")
		return
	}
	output, err := exec.CommandContext(t.Context(), filepath.Join(first, "scaler"), "version").CombinedOutput()
	if err != nil || !strings.Contains(string(output), testVersion) {
		t.Errorf("scaler version: %v, %q does not say %s", err, output, testVersion)
	}
	checkLicenses(t, first)
	checkHealth(t, first)
	checkFinalStage(t, first)
}

func sum(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}

// checkStatic reports a binary that needs a loader or libraries, or that names the folder in which it was built.
func checkStatic(t *testing.T, file string) {
	t.Helper()
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, header := range binary.Progs {
		if header.Type == elf.PT_INTERP || header.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has %s", file, header.Type)
		}
	}
	for _, section := range []string{".symtab", ".debug_info", ".zdebug_info"} {
		if binary.Section(section) != nil {
			t.Errorf("%s is not stripped: it has %s", file, section)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(filepath.Dir(filepath.Dir(file)))) {
		t.Errorf("%s names the folder in which it was built", file)
	}
}
