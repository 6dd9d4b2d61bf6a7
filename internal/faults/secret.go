package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// user is the user of the scaler on all servers.
const user = "scaler"

// A secret is the password of the scaler on a server, and the file in which the scaler finds it.
type secret struct {
	path   string
	number int
}

// newSecret writes the first password into its file.
func newSecret(t testing.TB) *secret {
	t.Helper()
	s := &secret{path: filepath.Join(t.TempDir(), "password")}
	s.write(t)
	return s
}

// value returns the password that the server demands.
func (s *secret) value() string { return fmt.Sprintf("password-%d", s.number) }

// change replaces the password. The file has the former one until write.
func (s *secret) change() { s.number++ }

// write writes the password into its file.
func (s *secret) write(t testing.TB) {
	t.Helper()
	replace(t, s.path, s.value())
}

// login returns the lines of a connection that logs in.
func (s *secret) login() []string {
	return []string{"username: " + user, "password: {file: " + s.path + "}"}
}

// replace replaces a file at once.
func replace(t testing.TB, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// addressList returns the line of a connection with the addresses of its servers.
func addressList(values ...string) string {
	return "addresses: ['" + strings.Join(values, "', '") + "']"
}

// await waits until a condition holds.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("within %s it did not happen that %s", patience, what)
		}
	}
}
