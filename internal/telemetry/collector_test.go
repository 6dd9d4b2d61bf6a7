package telemetry

import "testing"

// TestCollectorPercent: a small heap may grow by the floor, a large one by itself.
func TestCollectorPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{
		0: 800, 1 << 20: 800, 8 << 20: 800, 10 << 20: 625, 16 << 20: 400, 32 << 20: 200, 33 << 20: 175, 63 << 20: 100, 64 << 20: 100, 1 << 30: 100, 1 << 60: 100,
	} {
		if got := collectorPercent(live); got != want {
			t.Errorf("a heap of %d bytes: %d %%, want %d %%", live, got, want)
		}
	}
}
