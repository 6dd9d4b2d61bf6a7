package hpa

import (
	"math"
	"slices"
	"time"
)

// A Behavior limits how fast the replicas change. DefaultUp and DefaultDown are the defaults of
// the API server.
type Behavior struct {
	Up, Down Rules
}

// Rules limit the change in one direction.
type Rules struct {
	// Stabilization is the window in which the lowest recommendation counts on the way up, and
	// the highest on the way down.
	Stabilization time.Duration
	// Tolerance is the part of the target by which a metric may differ.
	Tolerance float64
	Select    Select
	// Policies is never empty, unless Select is SelectDisabled.
	Policies []Policy
}

// A Select selects one of several policies.
type Select uint8

// The ways to select a policy.
const (
	SelectMax      Select = iota // the one that allows the largest change
	SelectMin                    // the one that allows the smallest change
	SelectDisabled               // none: there is no change in this direction
)

// A Policy allows a change within a period.
type Policy struct {
	// Pods is a number of replicas; if it is 0, Percent counts.
	Pods int32
	// Percent is a part of the replicas at the beginning of the period.
	Percent int32
	Period  time.Duration
}

// DefaultUp returns the default rules for scaling up: 4 replicas or 100 %, whichever is more,
// each 15 s, without a window.
func DefaultUp() Rules {
	return Rules{
		Tolerance: DefaultTolerance,
		Policies:  []Policy{{Pods: 4, Period: 15 * time.Second}, {Percent: 100, Period: 15 * time.Second}},
	}
}

// DefaultDown returns the default rules for scaling down: all replicas at once, down to the
// highest recommendation of five minutes.
func DefaultDown() Rules {
	return Rules{
		Stabilization: DownscaleStabilization,
		Tolerance:     DefaultTolerance,
		Policies:      []Policy{{Percent: 100, Period: 15 * time.Second}},
	}
}

// A change was made to the replicas; the number is positive in both directions.
type change struct {
	at       time.Time
	replicas int32
}

// note adds a change in the direction of the rules. It replaces one that the longest period of
// a policy no longer covers; other such changes stay. They matter, because a policy of the
// other direction with a longer period counts them (horizontal.go, storeScaleEvent).
func (r Rules) note(changes []change, added change) []change {
	var longest time.Duration
	for _, p := range r.Policies {
		longest = max(longest, p.Period)
	}
	cutoff := added.at.Add(-longest)
	for i, c := range slices.Backward(changes) {
		if c.at.Before(cutoff) {
			changes[i] = added
			return changes
		}
	}
	return append(changes, added)
}

// behave bounds a recommendation by a Behavior (horizontal.go:1105-1262): first by the windows,
// then by the rates, then by Min and Max.
//
// With the default rules, 1 replica and a constant recommendation of 100, the syncs give 5
// (4 more), 10, 20, 40, 80 and 100: 75 seconds from the first to the last.
func (a *Autoscaler) behave(now time.Time, current, wanted int32) (int32, Reason) {
	stable := a.stabilize(now, current, wanted)
	reason := AsWanted
	if stable != wanted {
		reason = Stabilized
	}
	rules := a.spec.Behavior
	switch {
	case stable > current:
		highest, over := a.spec.Max, TooMany
		limit := max(rules.Up.limit(now, current, a.up, a.down, 1), current)
		if highest > limit {
			highest, over = limit, UpLimit
		}
		if stable > highest {
			return highest, over
		}
	case stable < current:
		lowest, under := a.spec.Min, TooFew
		limit := min(rules.Down.limit(now, current, a.up, a.down, -1), current)
		if lowest < limit {
			lowest, under = limit, DownLimit
		}
		if stable < lowest {
			return lowest, under
		}
	}
	return stable, reason
}

// stabilize moves the current count only if, and no further than, every recommendation of the
// window in that direction.
func (a *Autoscaler) stabilize(now time.Time, current, wanted int32) int32 {
	upFrom := now.Add(-a.spec.Behavior.Up.Stabilization)
	downFrom := now.Add(-a.spec.Behavior.Down.Stabilization)
	lowest, highest := wanted, wanted
	for _, r := range a.recommended {
		if r.at.After(upFrom) {
			lowest = min(lowest, r.replicas)
		}
		if r.at.After(downFrom) {
			highest = max(highest, r.replicas)
		}
	}
	oldest := upFrom
	if downFrom.Before(oldest) {
		oldest = downFrom
	}
	a.remember(now, wanted, oldest)
	return min(max(current, lowest), highest)
}

// limit returns the count that the policies allow. direction is 1 for up and -1 for down. A
// period begins with the count of that time: the current count without the changes since.
//
// On the way up a part of the count is rounded up, on the way down it is cut off,
// so that a small count can change at all: 10 % of 3 replicas is 4 upward, and
// 2.7, so 2, downward.
func (r Rules) limit(now time.Time, current int32, up, down []change, direction int64) int32 {
	if r.Select == SelectDisabled {
		return current
	}
	limits := make([]int64, len(r.Policies))
	for i, p := range r.Policies {
		since := now.Add(-p.Period)
		start := int64(current) - total(up, since) + total(down, since)
		switch {
		case p.Pods > 0:
			limits[i] = start + direction*int64(p.Pods)
		case direction > 0:
			limits[i] = int64(math.Ceil(float64(start) * (1 + float64(p.Percent)/100)))
		default:
			limits[i] = int64(float64(start) * (1 - float64(p.Percent)/100))
		}
	}
	pick := slices.Max[[]int64]
	if (direction > 0) == (r.Select == SelectMin) {
		pick = slices.Min[[]int64]
	}
	return int32(min(max(pick(limits), math.MinInt32), math.MaxInt32))
}

// total returns the sum of the changes after since.
func total(changes []change, since time.Time) int64 {
	var sum int64
	for _, c := range changes {
		if c.at.After(since) {
			sum += int64(c.replicas)
		}
	}
	return sum
}
