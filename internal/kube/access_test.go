package kube

import (
	"os"
	"strings"
	"testing"
)

// TestIdentity: two processes on one host differ, and each names its host.
func TestIdentity(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for range 2 {
		identity, err := Identity()
		if err != nil || !strings.HasPrefix(identity, host+"_") || seen[identity] {
			t.Errorf("identity %q, error %v, after %v; want another one that begins with %q", identity, err, seen, host+"_")
		}
		seen[identity] = true
	}
}
