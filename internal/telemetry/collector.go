package telemetry

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// heapFloor is how much a heap of 8 to 64 MiB may grow, in bytes, between two runs of the
	// garbage collector. By default the collector of such a heap runs several times a second
	// under load, and each run delays the calls that are under way.
	heapFloor = 64 << 20
	// The bounds of the garbage collector's percentage: Go's default, and one that a heap which
	// grows quickly can bear until the next read.
	leastPercent, mostPercent = 100, 800
	// collectorInterval is the time between two reads of the size of the heap.
	collectorInterval = time.Second
)

// TuneCollector adjusts the garbage collector to the heap until ctx ends: a small heap is
// collected less often than by default, and a large one no differently. GOMEMLIMIT stays in
// force.
func TuneCollector(ctx context.Context) {
	percent := leastPercent
	defer debug.SetGCPercent(leastPercent)
	ticker := time.NewTicker(collectorInterval)
	defer ticker.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(live)
		if want := collectorPercent(live[0].Value.Uint64()); want != percent {
			percent = want
			debug.SetGCPercent(percent)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// collectorPercent returns the percentage by which a heap that holds so many bytes may grow, in
// steps of 25, so that it seldom changes. Worked: a heap of 16 MiB grows by 400 %, to 80 MiB,
// before it is collected.
func collectorPercent(live uint64) int {
	const step = 25
	percent := uint64(mostPercent)
	if live > 0 {
		percent = heapFloor * 100 / live / step * step
	}
	return int(min(max(percent, leastPercent), mostPercent))
}
