package kube

import (
	"testing"
	"time"
)

// TestContest: another writer resets the replicas every 20 s. After three times this one writes
// once a minute, and again at once ten minutes after the other has ended.
func TestContest(t *testing.T) {
	t.Parallel()
	var c contest
	now := start()
	writes := 0
	for second := range 600 {
		now = start().Add(time.Duration(second) * time.Second)
		replicas, manager := int32(8), fieldManager
		if !c.standing || second%20 == 19 {
			replicas, manager = 3, "argocd-controller"
		}
		c.see(replicas, manager, now)
		if replicas != 8 && c.pause(now) == 0 {
			c.wrote(8, now)
			writes++
		}
	}
	if !c.contested(now) || c.manager != "argocd-controller" {
		t.Errorf("contested %v by %q", c.contested(now), c.manager)
	}
	// Three writes in the first minute, then one a minute.
	if writes < 10 || writes > 14 {
		t.Errorf("%d writes in ten minutes, want about one a minute", writes)
	}
	if later := now.Add(contestWithin); c.contested(later) || c.pause(later) != 0 {
		t.Error("still contested ten minutes later")
	}
}

// TestContestOfReplicas: what another replica of the scaler wrote is not foreign.
func TestContestOfReplicas(t *testing.T) {
	t.Parallel()
	var c contest
	for i := range 10 {
		now := start().Add(time.Duration(i) * time.Second)
		c.wrote(int32(i), now)
		c.see(int32(i+1), fieldManager, now)
		if c.contested(now) {
			t.Fatal("contested by another replica")
		}
	}
}
