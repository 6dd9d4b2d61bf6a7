// Package plan makes a plan of a run from a seed: what happens when. The same seed always
// makes the same plan.
package plan

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

// A Shape is what can be done to a topology.
type Shape struct {
	// Topology is its name.
	Topology string
	Queues   []Queue
	Faults   []Fault
	// Pause is how much more time than usual there is between two faults.
	Pause time.Duration
}

// A Queue is one that is written.
type Queue struct {
	Name string
	// Writes are what can be done to it, each as often as it is named.
	Writes []string
}

// A Fault is a kind of trouble.
type Fault struct {
	Name string
	// Weight is how often it is chosen, compared with others.
	Weight int
	// Least and Most bound how long it lasts. Zero is a fault that is over at once.
	Least, Most time.Duration
	// Settle is within what time after it, and after its begin, all is as it should be.
	Settle time.Duration
	// Lasting says that all is as it should be while it lasts too.
	Lasting bool
	// Replaces says that another server answers afterwards, or that this one may have lost
	// data: what was known before may count for longer.
	Replaces bool
}

// A Step is something that is done at a time.
type Step struct {
	// At is the offset from the start of the run.
	At       time.Duration
	Topology string
	// Queue, Write and N are a write of so many messages; Queue is empty for a fault.
	Queue, Write string
	N            int
	// Fault is the kind of trouble, For how long it lasts, and Choice decides what of
	// several things it hits.
	Fault  string
	For    time.Duration
	Choice uint64
}

// String returns the step as a line.
func (s Step) String() string {
	if s.Queue != "" {
		return fmt.Sprintf("%9.3fs  %s: %s %d (%s)", s.At.Seconds(), s.Topology, s.Write, s.N, s.Queue)
	}
	return fmt.Sprintf("%9.3fs  %s: FAULT %s for %s (choice %d)", s.At.Seconds(), s.Topology, s.Fault, s.For, s.Choice)
}

// before is how long all is left in peace at the start, and after at the end when all has
// settled.
const before, after = 5 * time.Second, 5 * time.Second

// New makes a plan of a run of the given length.
func New(seed uint64, length time.Duration, shapes []Shape) []Step {
	var steps []Step
	for _, shape := range shapes {
		name := fnv.New64a()
		_, _ = name.Write([]byte(shape.Topology))
		// What happens to one topology does not depend on which others there are.
		steps = append(steps, faults(rand.New(rand.NewPCG(seed, name.Sum64())), length, shape)...)
		steps = append(steps, writes(rand.New(rand.NewPCG(^seed, name.Sum64())), length, shape)...)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	return steps
}

// faults plans the faults of a topology: one after the other, now and then before all has
// settled after the one before.
func faults(r *rand.Rand, length time.Duration, shape Shape) (steps []Step) {
	if len(shape.Faults) == 0 {
		return nil
	}
	at := before + between(r, 0, 4*time.Second)
	for {
		fault := choose(r, shape.Faults)
		step := Step{
			At: at, Topology: shape.Topology,
			Fault: fault.Name, For: between(r, fault.Least, fault.Most), Choice: r.Uint64() >> 32,
		}
		at += step.For
		if at+fault.Settle+after > length {
			return steps
		}
		steps = append(steps, step)
		if shape.Pause == 0 && r.IntN(5) == 0 {
			at += between(r, 500*time.Millisecond, 3*time.Second)
			continue
		}
		at += fault.Settle + shape.Pause + between(r, 3*time.Second, 9*time.Second)
	}
}

func choose(r *rand.Rand, faults []Fault) Fault {
	total := 0
	for _, f := range faults {
		total += f.Weight
	}
	n := r.IntN(total)
	for _, f := range faults {
		if n -= f.Weight; n < 0 {
			return f
		}
	}
	return faults[len(faults)-1]
}

// writes plans what is written: busy times and quiet ones take turns.
func writes(r *rand.Rand, length time.Duration, shape Shape) (steps []Step) {
	if len(shape.Queues) == 0 {
		return nil
	}
	at := time.Duration(0)
	for at < length-5*time.Second {
		for quiet := at + between(r, 5*time.Second, 9*time.Second); at < quiet; at += between(r, 20*time.Millisecond, 200*time.Millisecond) {
			queue := shape.Queues[r.IntN(len(shape.Queues))]
			steps = append(steps, Step{
				At: at, Topology: shape.Topology,
				Queue: queue.Name, Write: queue.Writes[r.IntN(len(queue.Writes))], N: 1 + r.IntN(5),
			})
		}
		at += between(r, 3*time.Second, 5*time.Second)
	}
	return steps
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return (least + time.Duration(r.Int64N(int64(most-least)))).Round(time.Millisecond)
}
