package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestLinked: the plugin links what the scaler's commands need, and neither servers of tests nor the client of every API
// of Kubernetes, which would make each call of kubectl slower.
func TestLinked(t *testing.T) {
	t.Parallel()
	const module = "github.com/backlog-scaler/backlog-scaler/"
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("list what is linked: %v", err)
	}
	linked := strings.Fields(string(output))
	for _, wanted := range []string{module + "internal/cli/command", "k8s.io/client-go/plugin/pkg/client/auth/exec", "k8s.io/client-go/plugin/pkg/client/auth/oidc"} {
		if !slices.Contains(linked, wanted) {
			t.Errorf("the plugin does not link %s", wanted)
		}
	}
	for _, name := range linked {
		for _, barred := range []string{
			module + "internal/demo", module + "internal/childprocess", module + "internal/kube/kubetest", module + "internal/backlog/backlogtest",
			"testing", "k8s.io/client-go/kubernetes", "k8s.io/client-go/discovery", "k8s.io/client-go/informers", "sigs.k8s.io/controller-runtime",
		} {
			if name == barred || strings.HasPrefix(name, barred+"/") {
				t.Errorf("the plugin links %s", name)
			}
		}
	}
}
