package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestNoServerIsLinked: what the program links is the scaler. The demo, the benchmark and
// the tests have servers of their own, with a machine of Lua among them, and those stay out
// of the image.
func TestNoServerIsLinked(t *testing.T) {
	t.Parallel()
	const module = "github.com/backlog-scaler/backlog-scaler/"
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("list what is linked: %v", err)
	}
	linked := strings.Fields(string(output))
	if !slices.Contains(linked, module+"internal/app") || !slices.Contains(linked, "google.golang.org/grpc") {
		t.Fatalf("the list has %d packages, and not the scaler's own", len(linked))
	}
	for _, name := range linked {
		for _, barred := range []string{
			module + "internal/demo", module + "bench", module + "internal/reference", module + "internal/licenses",
			module + "internal/backlog/backlogtest", module + "internal/kube/kubectl", module + "internal/kube/kubetest", module + "internal/kube/tunnel", module + "internal/replicas", module + "internal/backlog/redis/redistest", module + "internal/backlog/redis/layout/layouttest", module + "internal/childprocess", module + "internal/policycheck/policychecktest",
			"github.com/alicebob/miniredis", "github.com/yuin/gopher-lua", "testing",
		} {
			if name == barred || strings.HasPrefix(name, barred+"/") {
				t.Errorf("the scaler links %s", name)
			}
		}
	}
}

// TestNoClientOfEveryAPI: the packages that register the types of every API of Kubernetes, or read
// their descriptions, take longer to initialise than all others together, whether or not policies are
// wanted. internal/kube/api is the client: docs/adr/0063-a-client-of-a-few-kinds.md.
func TestNoClientOfEveryAPI(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("list what is linked: %v", err)
	}
	linked := strings.Fields(string(output))
	if !slices.Contains(linked, "k8s.io/client-go/rest") {
		t.Fatal("the list has no client of Kubernetes")
	}
	for _, name := range linked {
		for _, barred := range []string{
			"k8s.io/client-go/kubernetes", "k8s.io/client-go/discovery", "k8s.io/client-go/applyconfigurations", "k8s.io/client-go/informers",
			"k8s.io/client-go/tools/leaderelection", "k8s.io/client-go/gentype", "k8s.io/kube-openapi/pkg/util/proto", "k8s.io/kube-openapi/pkg/schemaconv",
			"github.com/google/gnostic-models", "sigs.k8s.io/controller-runtime", "k8s.io/client-go/tools/clientcmd/api/latest",
		} {
			if name == barred || strings.HasPrefix(name, barred+"/") {
				t.Errorf("the scaler links %s", name)
			}
		}
	}
}

// TestNoProgramIsStarted: nothing that is linked starts other programs, except for what client-go
// brings: it can get credentials from a program. In a pod it reads a token instead.
func TestNoProgramIsStarted(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, ".").Output()
	if err != nil {
		t.Fatalf("list what is linked: %v", err)
	}
	allowed := []string{"k8s.io/client-go/plugin/pkg/client/auth/exec"}
	found := 0
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		if !slices.Contains(words[1:], "os/exec") {
			continue
		}
		found++
		if !slices.Contains(allowed, words[0]) {
			t.Errorf("%s, which the scaler links, can start programs", words[0])
		}
	}
	if found == 0 {
		t.Error("nothing imports os/exec; allow nothing")
	}
}
