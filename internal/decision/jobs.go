package decision

import (
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A JobStrategy is how KEDA computes from the value how many Jobs of a ScaledJob it starts at each
// poll, which it names scalingStrategy.strategy:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/executor/scale_jobs.go. Empty is none.
type JobStrategy string

// The strategies.
const (
	// JobsDefault starts as many Jobs as the value asks for, less those that have not ended.
	JobsDefault JobStrategy = "default"
	// JobsCustom is JobsDefault with a share of the Jobs that have not ended, and a number more.
	JobsCustom JobStrategy = "custom"
	// JobsAccurate starts as many Jobs as the value asks for, less those whose pod does not run yet.
	JobsAccurate JobStrategy = "accurate"
	// JobsEager starts as many Jobs as the value asks for and maxReplicaCount allows.
	JobsEager JobStrategy = "eager"
)

// JobStrategies returns all of them.
func JobStrategies() []string {
	return []string{string(JobsDefault), string(JobsAccurate), string(JobsEager), string(JobsCustom)}
}

// CountsHeld reports whether KEDA subtracts the Jobs at work, so that the messages they hold must be
// in the value. Otherwise they must not be in it: each would get a second Job.
func (s JobStrategy) CountsHeld() bool { return s == JobsDefault || s == JobsCustom }

// Count returns the parts of the backlog that have to count.
func (s JobStrategy) Count() Counts {
	if s == "" || s.CountsHeld() {
		return CountAll
	}
	return CountReady | CountDue
}

// errHeldUnknown is a reading without what workers hold, which the strategy needs.
var errHeldUnknown = errors.New("messages in flight are not known, which scaledJob: default and custom need; want the strategy accurate")

// usableForJobs returns nil if a reading is good enough for a ScaledJob. An old one is not: each
// message that a Job has finished since would get another Job.
func usableForJobs(spec *Spec, seen *backlog.Observation) error {
	switch {
	case spec.Jobs == "":
		return nil
	case seen.Err != nil:
		return fmt.Errorf("%w: %w", ErrUnknown, seen.Err)
	case spec.Jobs.CountsHeld() && !spec.HeldIsReady && !seen.Latest.InFlight.Known:
		return fmt.Errorf("%w: %w", ErrUnknown, errHeldUnknown)
	default:
		return nil
	}
}
