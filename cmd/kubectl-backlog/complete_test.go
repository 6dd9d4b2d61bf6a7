package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubetest"
)

// TestComplete: the last word becomes what the commands, the flags, the kubeconfig and the replicas know.
func TestComplete(t *testing.T) {
	t.Parallel()
	first, second := scalerWith(t, 6), scalerWith(t, 8)
	second.Ask("shop", "frontdesk", "connection", "main", "queue", "front")
	first.Ask("bank", "loans", "connection", "main", "queue", "loans")
	server := kubetest.Start(t, pod("one", address(first)), pod("two", address(second)), pod("dead", "127.0.0.1:1"))
	kubeconfig := server.Kubeconfig("shop")
	nowhere := write(t, "kubeconfig", kubeconfigOfNothing)
	for _, tc := range []struct {
		words string // a bar stands for the end, and words are split at spaces
		want  []string
		then  string
	}{
		{"|", []string{"explain", "watch", "policy", "doctor", "ui", "completion", "version"}, ":4"},
		{"ex|", []string{"explain"}, ":4"},
		{"policy |", []string{"explain", "check"}, ":4"},
		{"policy check |", nil, ":0"},
		{"version |", nil, ":4"},
		{"unknown |", []string{"explain", "watch", "policy", "doctor", "ui", "completion", "version"}, ":4"},
		{"watch --out|", []string{"--output"}, ":4"},
		{"watch -o |", []string{"text", "json", "yaml"}, ":4"},
		{"watch --output=j|", []string{"--output=json"}, ":4"},
		{"doctor --fail-on |", []string{"warning", "error"}, ":4"},
		{"doctor --offline |", nil, ":0"},
		{"watch --context |", []string{"test"}, ":4"},
		{"watch -n |", []string{"bank", "shop"}, ":4"},
		{"explain |", []string{"billing", "frontdesk"}, ":4"},
		{"explain b|", []string{"billing"}, ":4"},
		{"explain -n bank |", []string{"loans"}, ":4"},
		{"explain --namespace=bank |", []string{"loans"}, ":4"},
		{"explain bank/|", []string{"bank/loans"}, ":4"},
		{"explain -o json b|", []string{"billing"}, ":4"},
		{"explain billing |", nil, ":4"},
		{"explain billing --trigger |", []string{"queue-jobs"}, ":4"},
		{"explain bank/loans --trigger=|", []string{"--trigger=queue-loans"}, ":4"},
		{"policy explain |", nil, ":4"},
		{"explain --kubeconfig " + nowhere + " |", nil, ":4"},
	} {
		t.Run(tc.words, func(t *testing.T) {
			t.Parallel()
			words := strings.Split(strings.TrimSuffix(tc.words, "|"), " ")
			// In front of the last word.
			args := append([]string{completeCommand}, words[:len(words)-1]...)
			if !strings.Contains(tc.words, nowhere) {
				args = append(args, "--kubeconfig", kubeconfig)
			}
			if n := len(words) - 1; n > 0 && strings.HasPrefix(words[n-1], "-") && !strings.Contains(words[n-1], "=") {
				args = append(append([]string{completeCommand}, words[:n-1]...), "--kubeconfig="+kubeconfig, words[n-1])
			}
			code, out, errText := plugin(append(args, words[len(words)-1])...)
			lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			if code != 0 || errText != "" || lines[len(lines)-1] != tc.then {
				t.Fatalf("code %d\n%s%s", code, out, errText)
			}
			if diff := cmp.Diff(tc.want, append([]string(nil), lines[:len(lines)-1]...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompleteInTime: an API server that says nothing does not hold the shell.
func TestCompleteInTime(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	kubeconfig := write(t, "kubeconfig", strings.ReplaceAll(kubeconfigOfNothing, "127.0.0.1:1", listener.Addr().String()))
	began := time.Now()
	code, out, _ := plugin(completeCommand, "explain", "--kubeconfig", kubeconfig, "")
	if took := time.Since(began); code != 0 || out != ":4\n" || took > 20*completeTimeout {
		t.Errorf("code %d after %s: %q", code, took, out)
	}
}

// TestCompletionScript: the script that is installed is the one that kubectl starts, and it completes.
func TestCompletionScript(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the script is one of sh")
	}
	w := scalerWith(t, 6)
	server := kubetest.Start(t, pod("one", address(w)))
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, pluginFile)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	code, out, errText := plugin("completion", "install")
	path := filepath.Join(dir, "kubectl_complete-backlog")
	if code != 0 || out != path+"\n" {
		t.Fatalf("code %d\n%s%s", code, out, errText)
	}
	// As kubectl does: by the name, with the words behind "kubectl backlog".
	cmd := exec.CommandContext(t.Context(), "kubectl_complete-backlog", "explain", "--kubeconfig", server.Kubeconfig("shop"), "bil")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	if got, err := cmd.CombinedOutput(); err != nil || string(got) != "billing\n:4\n" {
		t.Errorf("%v\n%s", err, got)
	}
	if code, out, _ := plugin("completion", "install"); code != 0 || out != path+"\n" {
		t.Errorf("again: %d %s", code, out)
	}
	if _, out, _ := plugin("completion", "print"); out != read(t, path) {
		t.Errorf("printed %q, want %q", out, read(t, path))
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errText := plugin("completion", "install", "--dir", dir); code != 1 || !strings.Contains(errText, "is not that of kubectl-backlog") || !strings.Contains(read(t, path), "mine") {
		t.Errorf("a file of another: %d\n%s", code, errText)
	}
	if code, _, errText := plugin("completion", "install", "--dir", filepath.Join(dir, "none")); code != 1 || !strings.Contains(errText, "--dir names another folder") {
		t.Errorf("no folder: %d\n%s", code, errText)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
