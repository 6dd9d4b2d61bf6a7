package redistest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A Version is a server that tests can run on.
type Version struct {
	// Name is such as "redis-6.2".
	Name string
	// Path is that of its server program.
	Path string
}

// Before reports whether v is Redis before the given version.
func (v Version) Before(major, minor int) bool {
	version, isRedis := strings.CutPrefix(v.Name, "redis-")
	if !isRedis {
		return false
	}
	first, second, _ := strings.Cut(version, ".")
	has := make([]int, 2)
	for i, text := range []string{first, second} {
		has[i], _ = strconv.Atoi(text)
	}
	return slices.Compare(has, []int{major, minor}) < 0
}

// wanted are the servers that hack/install-servers.sh brings into .tools/servers. Not
// to be had as a program in a package are Redis 7.2 and 7.4 (the only package of 7.4
// needs a version of OpenSSL that distributions have dropped) and Valkey 7.2 and 8.
var wanted = []string{"redis-6.0", "redis-6.2", "redis-8", "valkey-9"} //nolint:gochecknoglobals // constant

// isPackaged reports whether there is a package of the version for this processor.
func isPackaged(name string) bool { return name != "redis-6.0" || runtime.GOARCH == "amd64" }

// Versions returns the redis-server on the PATH, which must be there, and the servers
// that hack/install-servers.sh has installed. In CI they must all be there. In a short run it
// skips the test.
func Versions(t testing.TB) []Version {
	t.Helper()
	path := Program(t)
	versions := []Version{{Name: nameOf(t, path), Path: path}}
	for _, name := range wanted {
		if !isPackaged(name) {
			continue
		}
		path := filepath.Join(root(t), ".tools", "servers", name, "server")
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("find %s: %v; install it with hack/install-servers.sh", name, err)
			}
			t.Logf("%s is not tested: install it with hack/install-servers.sh", name)
			continue
		}
		versions = append(versions, Version{Name: name, Path: path})
	}
	return versions
}

// nameOf asks a server program for its version: "redis-7.0".
func nameOf(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.Command(path, "--version").Output() //nolint:noctx // a server of the tests
	if err != nil {
		t.Fatalf("ask %s for its version: %v", path, err)
	}
	name := "redis"
	if strings.Contains(strings.ToLower(string(out)), "valkey") {
		name = "valkey"
	}
	_, version, _ := strings.Cut(string(out), " v=")
	version, _, _ = strings.Cut(version, " ")
	if parts := strings.Split(version, "."); len(parts) > 2 {
		version = strings.Join(parts[:2], ".")
	}
	return name + "-" + version
}

// root returns the folder of the module, which is above this file.
func root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		// Built with -trimpath: tests run in the folder of their package.
		file, _ = os.Getwd()
	}
	for dir := file; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("find go.mod above the tests")
		}
	}
}
