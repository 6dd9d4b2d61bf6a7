package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const version = "v1.2.3"

// pack writes an archive of files, in the order of their names and contents.
func pack(t *testing.T, path string, files ...string) {
	t.Helper()
	var b bytes.Buffer
	if strings.HasSuffix(path, ".zip") {
		z := zip.NewWriter(&b)
		for i := 0; i < len(files); i += 2 {
			w, err := z.Create(files[i])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(files[i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		packed := gzip.NewWriter(&b)
		w := tar.NewWriter(packed)
		for i := 0; i < len(files); i += 2 {
			if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o755, Size: int64(len(files[i+1]))}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(files[i+1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := packed.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// archives fills a folder with archives of all platforms. That of this one has the program.
func archives(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	for _, system := range []string{"darwin", "linux", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			name, content := "kubectl-backlog", "of "+system+" on "+arch
			if system == runtime.GOOS && arch == runtime.GOARCH {
				content = program
			}
			if system == "windows" {
				name += ".exe"
			}
			pack(t, filepath.Join(dir, archiveName(version, system, arch)), name, content, "LICENSE", "terms")
		}
	}
	return dir
}

// manifestOf runs the program.
func manifestOf(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	dir := archives(t, "")
	missing, unlicensed, broken := archives(t, ""), archives(t, ""), archives(t, "")
	if err := os.Remove(filepath.Join(missing, archiveName(version, "linux", "arm64"))); err != nil {
		t.Fatal(err)
	}
	pack(t, filepath.Join(unlicensed, archiveName(version, "windows", "amd64")), "kubectl-backlog.exe", "x")
	if err := os.WriteFile(filepath.Join(broken, archiveName(version, "darwin", "amd64")), []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no folder":     {[]string{"-version", version}, 2, "want one folder"},
		"no version":    {[]string{dir}, 2, `"": want the tag of a release`},
		"no tag":        {[]string{"-version", "1.2.3", dir}, 2, "such as v1.2.3"},
		"other version": {[]string{"-version", "v1.2.4", dir}, 1, "kubectl-backlog_1.2.4_darwin_amd64.tar.gz"},
		"missing":       {[]string{"-version", version, missing}, 1, "kubectl-backlog_1.2.3_linux_arm64.tar.gz"},
		"no licence":    {[]string{"-version", version, unlicensed}, 1, "there is no LICENSE in it"},
		"broken":        {[]string{"-version", version, broken}, 1, "read kubectl-backlog_1.2.3_darwin_amd64.tar.gz: gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, out, err := manifestOf(tc.args...); code != tc.code || out != "" || !strings.Contains(err, tc.want) {
				t.Errorf("code %d, want %d\n%s%s", code, tc.code, out, err)
			}
		})
	}
}

// TestNames: the release names its archives as the manifest does.
func TestNames(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := `name_template: "kubectl-backlog_{{ .Version }}_{{ .Os }}_{{ .Arch }}"`; !strings.Contains(string(data), want) {
		t.Errorf(".goreleaser.yaml has no %s", want)
	}
	if got := archiveName(version, "windows", "arm64"); got != "kubectl-backlog_1.2.3_windows_arm64.zip" {
		t.Errorf("the archive is %s", got)
	}
}

// TestKrew: Krew's own check takes the manifest, and Krew installs the plugin from the archive of this platform.
func TestKrew(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds Krew")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "kubectl-backlog")
	goRun(t, nil, "build", "-o", program, "../../cmd/kubectl-backlog")
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	packed := archives(t, string(data))
	code, out, errText := manifestOf("-version", version, packed)
	if code != 0 {
		t.Fatalf("code %d\n%s", code, errText)
	}
	path := filepath.Join(dir, "backlog.yaml")
	if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out, "sha256: "); n != 6 {
		t.Errorf("%d platforms, want 6:\n%s", n, out)
	}
	goRun(t, nil, "tool", "-modfile=../krew/go.mod", "validate-krew-manifest", "-skip-install", "-manifest", path)

	environment := []string{"KREW_ROOT=" + filepath.Join(dir, "krew"), "HOME=" + dir, "GOCACHE=" + cacheOf(t, "GOCACHE"), "GOMODCACHE=" + cacheOf(t, "GOMODCACHE")}
	goRun(t, environment, "tool", "-modfile=../krew/go.mod", "krew", "install", "--manifest="+path, "--archive="+filepath.Join(packed, archiveName(version, runtime.GOOS, runtime.GOARCH)))
	installed := filepath.Join(dir, "krew", "bin", "kubectl-backlog")
	printed, err := exec.CommandContext(t.Context(), installed, "--help").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(printed), "Usage: kubectl backlog <command>") {
		t.Errorf("%v\n%s", err, printed)
	}
}

// goRun runs the go command with more environment, and wants it to succeed.
func goRun(t *testing.T, environment []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// cacheOf is a folder of Go, which does not move with the home of the user.
func cacheOf(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
