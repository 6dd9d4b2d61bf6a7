package kube

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// The bounds of jumps.
const (
	// maxRepeats is how often a jump that was taken back is repeated.
	maxRepeats = 3
	// startFor is the time after the first replica in which a workload counts as starting.
	startFor = time.Minute
	// restFor is the time without jumps after too many were taken back.
	restFor = 10 * time.Minute
)

// A jumper decides when replicas are raised at once. It knows the replicas that were seen and the
// jumps that were made. Its zero value is ready to use.
//
// A jump follows KEDA's change from 0 to 1 and never comes together with it, because KEDA writes
// its number without reading the current one again. Where a jump was taken back it is repeated a
// few times: https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/executor/scale_scaledobjects.go#L310
type jumper struct {
	// atZero reports that there were no replicas; started is when the first was seen after that,
	// zero if the workload is not starting.
	atZero  bool
	started time.Time
	// to is the number of the last jump, and at its time; zero if there was none.
	to int32
	at time.Time
	// failures are the jumps that were taken back, and standing reports that the last one was
	// not.
	failures int
	standing bool
}

// see notes the replicas of the workload. It reports whether the last repetition was taken back
// just now, after which there are no more.
func (j *jumper) see(replicas int32, now time.Time) (exhausted bool) {
	if j.standing {
		held := !now.Before(j.at.Add(heldFor))
		switch {
		case held:
			j.failures, j.standing, j.started = 0, false, time.Time{}
		case replicas < j.to:
			j.failures, j.standing = j.failures+1, false
			exhausted = j.failures == maxRepeats+1
		}
	}
	if j.failures > 0 && !now.Before(j.at.Add(restFor)) {
		j.failures, j.started = 0, time.Time{}
	}
	switch {
	case replicas == 0:
		j.atZero, j.started = true, time.Time{}
	case j.atZero:
		j.atZero, j.started = false, now
	case !now.Before(j.started.Add(startFor)):
		j.started = time.Time{}
	}
	return exhausted
}

// due reports whether the replicas are to be raised to a larger number. floor is that of the
// schedules.
func (j *jumper) due(occasion policies.Jump, replicas, to, floor int32) bool {
	if replicas < 1 || to <= replicas || j.failures > maxRepeats {
		return false
	}
	switch occasion {
	case policies.JumpAlways:
		return true
	case policies.JumpFloor:
		return !j.started.IsZero() || min(floor, to) > replicas
	case policies.JumpFromZero:
		return !j.started.IsZero()
	default:
		return false
	}
}

// jumped notes a jump.
func (j *jumper) jumped(to int32, now time.Time) { j.to, j.at, j.standing = to, now, true }
