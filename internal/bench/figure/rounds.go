package figure

import (
	"fmt"
	"math"
	"slices"
)

// Rounds are what both sides did in turns. The ratio of a run is the median of the
// ratios of its rounds, so that a machine that is slow for a while slows both.
type Rounds struct {
	ours, floor []float64
}

// Add takes in one round of each side.
func (r *Rounds) Add(ours, floor float64) {
	r.ours = append(r.ours, ours)
	r.floor = append(r.floor, floor)
}

// Figure is the median of our rounds, with the median ratio to the floor. The note
// tells the least and the largest ratio and the floor's own median.
//
// Worked example: rounds of 90 to 100, 110 to 100 and 48 to 60 have the ratios 0.9,
// 1.1 and 0.8: 90, ratio 0.9, spread 0.8 to 1.1, floor 100.
func (r *Rounds) Figure(name, unit string, bound Bound) Figure {
	ratios := make([]float64, len(r.ours))
	for i := range r.ours {
		ratios[i] = r.ours[i] / r.floor[i]
	}
	ratio := Median(ratios)
	note := fmt.Sprintf("floor %s, %d rounds", number(Median(r.floor)), len(ratios))
	if len(ratios) > 0 {
		note += fmt.Sprintf(", ratio %s to %s", number(slices.Min(ratios)), number(slices.Max(ratios)))
	}
	return Figure{Name: name, Value: Median(r.ours), Unit: unit, Ratio: &ratio, Bound: bound, Note: note}
}

// Alone is a figure that has no floor: the median of the rounds, whose least and
// largest the note tells.
func Alone(name, unit string, bound Bound, rounds ...float64) Figure {
	f := Figure{Name: name, Value: Median(rounds), Unit: unit, Bound: bound}
	if len(rounds) > 1 {
		f.Note = fmt.Sprintf("%d rounds, %s to %s", len(rounds), number(slices.Min(rounds)), number(slices.Max(rounds)))
	}
	return f
}

// Median is the middle of the numbers, or the mean of the two in the middle. Of
// nothing it is not a number, so that a bound on it is not kept.
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
// is the largest. Of nothing it is not a number.
func Quantile(numbers []float64, q float64) float64 {
	if len(numbers) == 0 {
		return math.NaN()
	}
	ordered := slices.Sorted(slices.Values(numbers))
	rank := int(math.Ceil(q * float64(len(ordered))))
	return ordered[min(max(rank, 1), len(ordered))-1]
}
