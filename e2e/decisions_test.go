package e2e_test

import "testing"

// TestDecisions has a cluster of its own, because it fills it with a thousand pods: what it asserts is how many replicas
// there are, not how soon.
func TestDecisions(t *testing.T) {
	t.Parallel() // with its subtests alone: the others have ended
	s := newSuite(t, "-decisions")
	for name, scenario := range map[string]func(*testing.T){
		"arithmetic":   s.arithmetic,
		"busy workers": s.busyWorkers,
		"delayed jobs": s.delayedJobs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(t)
		})
	}
}
