package workload

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// A Deployment runs the desired number of replicas. A replica is a goroutine that takes a
// moment to start, works, and finishes its present message when it is removed.
type Deployment struct {
	startUp time.Duration
	// work is what a replica does until stop is closed.
	work func(replica int, stop <-chan struct{})

	// mu guards all below: the caller scales, the screen looks, replicas come and go.
	mu       sync.Mutex
	replicas []*replica
	closed   bool
	// running are all goroutines, also of replicas that were taken away.
	running sync.WaitGroup
	// used are the numbers of replicas that have not ended yet.
	used map[int]bool
}

type replica struct {
	number int
	stop   chan struct{}
	ready  bool
}

// NewDeployment returns a Deployment without replicas.
func NewDeployment(startUp time.Duration, work func(replica int, stop <-chan struct{})) *Deployment {
	return &Deployment{startUp: startUp, work: work, used: map[int]bool{}}
}

// SetReplicas sets the desired number of replicas. The youngest are removed first.
func (d *Deployment) SetReplicas(count int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.scale(int(count))
}

func (d *Deployment) scale(count int) {
	for len(d.replicas) > count {
		last := len(d.replicas) - 1
		close(d.replicas[last].stop)
		d.replicas = slices.Delete(d.replicas, last, last+1)
	}
	for len(d.replicas) < count {
		number := 1
		for d.used[number] {
			number++
		}
		d.used[number] = true
		r := &replica{number: number, stop: make(chan struct{})}
		d.replicas = append(d.replicas, r)
		d.running.Go(func() { d.run(r) })
	}
}

// run is one replica.
func (d *Deployment) run(r *replica) {
	starting := time.NewTimer(d.startUp)
	defer starting.Stop()
	select {
	case <-starting.C:
		d.mu.Lock()
		r.ready = true
		d.mu.Unlock()
		d.work(r.number, r.stop)
	case <-r.stop:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.used, r.number)
}

// Scale returns the number of replicas. Removed ones do not count, as in Kubernetes.
func (d *Deployment) Scale() hpa.Scale {
	d.mu.Lock()
	defer d.mu.Unlock()
	scale := hpa.Steady(int32(len(d.replicas))) //nolint:gosec // set from an int32
	scale.Ready = 0
	for _, r := range d.replicas {
		if r.ready {
			scale.Ready++
		}
	}
	return scale
}

// Close removes all replicas, and waits until they have ended.
func (d *Deployment) Close() {
	d.mu.Lock()
	d.scale(0)
	d.closed = true
	d.mu.Unlock()
	d.running.Wait()
}

// pause waits for d, and reports whether it did so in full.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
