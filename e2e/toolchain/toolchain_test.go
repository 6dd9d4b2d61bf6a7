package toolchain

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The version that kube-apiserver reports is that of its sources.
func TestKubernetesVersion(t *testing.T) {
	t.Parallel()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "tools", "kubernetes", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "k8s.io/kubernetes v")
	if !found {
		t.Fatal("tools/kubernetes does not require k8s.io/kubernetes")
	}
	version := "v" + strings.Fields(rest)[0]
	parts := strings.Split(version[1:], ".")
	for _, want := range []string{"gitVersion=" + version, "gitMajor=" + parts[0], "gitMinor=" + parts[1]} {
		if want = "k8s.io/component-base/version." + want; !slices.Contains(kubernetesVersion(), want) {
			t.Errorf("kube-apiserver is stamped with %v, want %s", kubernetesVersion(), want)
		}
	}
}
