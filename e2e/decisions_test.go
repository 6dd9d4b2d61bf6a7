package e2e_test

import "testing"

// TestDecisions asserts how many replicas there are in the end, and that none is taken away too early. It has a cluster of its
// own, which it fills with a thousand pods.
func TestDecisions(t *testing.T) {
	s := newSuite(t, "-decisions")
	t.Run("together", func(t *testing.T) {
		for name, scenario := range map[string]func(*testing.T){
			"busy workers":      s.busyWorkers,
			"receiving workers": s.receivingWorkers,
			"delayed jobs":      s.delayedJobs,
			"comparison":        s.comparison,
			"other writers":     s.otherWriters,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(t)
			})
		}
	})
	// Afterwards, because so many pods keep the machine busy.
	t.Run("arithmetic", s.arithmetic)
}
