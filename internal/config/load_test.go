package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	write(t, filepath.Join(dir, "secret"), "opensesame\n")
	write(t, path, paper("password: {file: secret}", "wakeToken: {file: secret}"))
	config, err := Load(path, testEngines())
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Connections[0].Settings.Secret("password").Reveal(); got != "opensesame" {
		t.Errorf("password = %q, want that of the file next to the configuration", got)
	}
	if got := config.Connections[0].WakeToken.Reveal(); got != "opensesame" {
		t.Errorf("wakeToken = %q, want that of the same file", got)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	write(t, filepath.Join(dir, "large"), strings.Repeat("x", maxFileSize+1))
	write(t, path, paper("password: {file: large}", "tlsCAFile: ."))
	_, err := Load(path, testEngines())
	want := fmt.Sprintf("invalid configuration:\n"+
		"%[1]s/config.yaml:6:22: connections.orders.password.file: read %[1]s/large: larger than 1048576 bytes\n"+
		"%[1]s/config.yaml:7:16: connections.orders.tlsCAFile: read %[1]s: not a regular file", dir)
	if err == nil || err.Error() != want {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
	if _, err := Load(filepath.Join(dir, "gone"), testEngines()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v, want one that the file does not exist", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
