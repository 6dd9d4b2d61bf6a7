package measurement

import (
	"fmt"
	"math"
	"slices"
)

// Rounds are the values of both sides, which take turns. The ratio of a run is the median of the ratios of its
// rounds, so a machine that is slow for a while slows both sides.
type Rounds struct {
	ours, baseline []float64
}

// Add adds one round of each side.
func (r *Rounds) Add(ours, baseline float64) {
	r.ours = append(r.ours, ours)
	r.baseline = append(r.baseline, baseline)
}

// Measurement is the median of our rounds, with the median ratio to the baseline. The note has the least and the
// largest ratio and the median of the baseline.
//
// Worked example: rounds of 90 to 100, 110 to 100 and 48 to 60 have the ratios 0.9,
// 1.1 and 0.8: 90, ratio 0.9, spread 0.8 to 1.1, baseline 100.
func (r *Rounds) Measurement(name, unit string, bound Bound) Measurement {
	ratios := make([]float64, len(r.ours))
	for i := range r.ours {
		ratios[i] = r.ours[i] / r.baseline[i]
	}
	ratio := Median(ratios)
	note := fmt.Sprintf("baseline %s, %d rounds", number(Median(r.baseline)), len(ratios))
	if len(ratios) > 0 {
		note += fmt.Sprintf(", ratio %s to %s", number(slices.Min(ratios)), number(slices.Max(ratios)))
	}
	return Measurement{Name: name, Value: Median(r.ours), Unit: unit, Ratio: &ratio, Bound: bound, Note: note}
}

// Alone is a measurement without a baseline: the median of the rounds. The note has the least and the largest.
func Alone(name, unit string, bound Bound, rounds ...float64) Measurement {
	m := Measurement{Name: name, Value: Median(rounds), Unit: unit, Bound: bound}
	if len(rounds) > 1 {
		m.Note = fmt.Sprintf("%d rounds, %s to %s", len(rounds), number(slices.Min(rounds)), number(slices.Max(rounds)))
	}
	return m
}

// Median is the middle of the numbers, or the mean of the two in the middle. It
// is NaN without numbers, so that a bound on it is missed.
func Median(numbers []float64) float64 {
	if len(numbers) == 0 {
		return math.NaN()
	}
	ordered := slices.Sorted(slices.Values(numbers))
	middle := len(ordered) / 2
	if len(ordered)%2 == 1 {
		return ordered[middle]
	}
	return (ordered[middle-1] + ordered[middle]) / 2
}

// Quantile is the q-quantile of the numbers by nearest rank: of 30 the 0.99-quantile
// is the largest. It is NaN without numbers.
func Quantile(numbers []float64, q float64) float64 {
	if len(numbers) == 0 {
		return math.NaN()
	}
	ordered := slices.Sorted(slices.Values(numbers))
	rank := int(math.Ceil(q * float64(len(ordered))))
	return ordered[min(max(rank, 1), len(ordered))-1]
}

// InTurns calls both; which of them goes first alternates with n.
func InTurns(n int, own, baseline func() error) error {
	first, second := own, baseline
	if n%2 == 1 {
		first, second = baseline, own
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}
