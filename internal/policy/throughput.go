package policy

import (
	"fmt"
	"math"
	"time"
)

// The rules of an estimate.
const (
	// memory is the time of work in which an earlier measurement loses half of its weight.
	memory = 30 * time.Minute
	// longestPause is the longest time between two samples that are compared. What happened in
	// a longer one is unknown.
	longestPause = 5 * time.Minute
	// enoughTime is the least time of work of one replica, in seconds, and enoughJobs the least
	// number of finished jobs. 25 jobs have a standard error of a fifth.
	enoughTime = 60
	enoughJobs = 25
)

// A Sample is the progress of a workload at a moment.
type Sample struct {
	At time.Time
	// Done is the number of jobs finished so far, from any beginning.
	Done int64
	// Available is the number of replicas that are available.
	Available int32
	// Waiting reports that jobs wait, so that every replica works. Without waiting jobs the
	// progress shows the arrivals, and not what a replica could do.
	Waiting bool
}

// A Throughput learns how many jobs one replica finishes in a second: the finished jobs divided
// by the seconds of available replicas, where jobs waited all the time. It is immutable: Add
// returns another one. Make it with NewThroughput.
//
// Worked example: 4 replicas finish 480 jobs in 60 s while more wait. These are 240
// replica-seconds, so one replica finishes 2 jobs in a second.
type Throughput struct {
	floor, ceiling float64
	last           Sample
	// jobs and seconds are the finished jobs and the replica-seconds, each with less weight the
	// older it is.
	jobs, seconds float64
}

// An Estimate is what a Throughput has learned.
type Estimate struct {
	// PerSecond is the number of jobs that one replica finishes in a second, within floor and
	// ceiling. It is zero if it is unknown.
	PerSecond float64
	// Known reports that enough was measured. Otherwise the throughput is unknown, which is not
	// zero.
	Known bool
	// Confidence is 0 to 1: one less the standard error of a count of independent jobs.
	Confidence float64
	// Measured is PerSecond without floor and ceiling; zero if nothing was measured.
	Measured float64
}

// NewThroughput returns a Throughput that has learned nothing. Floor and ceiling bound its
// estimates, in jobs per second; both are positive.
func NewThroughput(floor, ceiling float64) (Throughput, error) {
	switch {
	case !finite(floor) || floor <= 0:
		return Throughput{}, fmt.Errorf("floor %v of the throughput: want a positive number of jobs per second", floor)
	case !finite(ceiling) || ceiling < floor:
		return Throughput{}, fmt.Errorf("ceiling %v of the throughput: want a number not below the floor, %v", ceiling, floor)
	}
	return Throughput{floor: floor, ceiling: ceiling}, nil
}

// Add returns what is learned with another sample. The time since the sample before counts only
// if jobs waited and replicas were available at both, and if Done did not fall, as it does when
// a counter starts again.
func (t Throughput) Add(s Sample) Throughput {
	last := t.last
	if !s.At.After(last.At) {
		return t
	}
	t.last = s
	elapsed := s.At.Sub(last.At)
	if last.At.IsZero() || elapsed > longestPause || !last.Waiting || !s.Waiting ||
		last.Available <= 0 || s.Available <= 0 || last.Done < 0 || s.Done < last.Done {
		return t
	}
	// Replicas that came or went in between worked for half of the time.
	seconds := elapsed.Seconds() * (float64(last.Available) + float64(s.Available)) / 2
	weight := math.Exp2(-float64(elapsed) / float64(memory))
	t.jobs = t.jobs*weight + float64(s.Done-last.Done)
	t.seconds = t.seconds*weight + seconds
	return t
}

// Estimate returns what was learned.
func (t Throughput) Estimate() Estimate {
	if t.seconds == 0 {
		return Estimate{}
	}
	e := Estimate{Measured: t.jobs / t.seconds}
	if t.jobs >= 1 {
		e.Confidence = 1 - 1/math.Sqrt(t.jobs)
	}
	if e.Known = t.seconds >= enoughTime && t.jobs >= enoughJobs; e.Known {
		e.PerSecond = min(max(e.Measured, t.floor), t.ceiling)
	}
	return e
}
