package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A Distribution is how long something takes. Its zero value takes no time.
type Distribution struct {
	// samples are measured times, ascending; if there are any, one of them is drawn.
	samples []time.Duration
	// median is that of a lognormal distribution with the given sigma; a sigma of zero is a fixed
	// time.
	median time.Duration
	sigma  float64
	// mean is that of an exponential distribution, if it is not zero.
	mean time.Duration
}

// normal95 is the 95th percentile of the standard normal distribution.
const normal95 = 1.6448536269514722

// longest bounds what is drawn.
const longest = 30 * 24 * time.Hour

// Fixed returns a Distribution that always takes as long.
func Fixed(d time.Duration) Distribution { return Distribution{median: d} }

// LogNormal returns a lognormal Distribution by its 50th and 95th percentile, which is the usual
// form of start-up times and of job lengths.
func LogNormal(p50, p95 time.Duration) Distribution {
	if p50 <= 0 || p95 <= p50 {
		return Fixed(p50)
	}
	return Distribution{median: p50, sigma: math.Log(float64(p95)/float64(p50)) / normal95}
}

// Exponential returns an exponential Distribution, as queueing theory assumes it.
func Exponential(mean time.Duration) Distribution { return Distribution{mean: mean} }

// Empirical returns a Distribution of measured times.
func Empirical(samples []time.Duration) Distribution {
	return Distribution{samples: slices.Sorted(slices.Values(samples))}
}

// ParseDistribution parses a fixed time such as 500ms, or the 50th and the 95th percentile such as
// 500ms/2s.
func ParseDistribution(text string) (Distribution, error) {
	first, second, two := strings.Cut(text, "/")
	p50, err := time.ParseDuration(first)
	p95 := p50
	if err == nil && two {
		p95, err = time.ParseDuration(second)
	}
	if err != nil || p50 < 0 || p95 < p50 || p95 > longest || two && p50 == 0 {
		return Distribution{}, fmt.Errorf("%q: want a time such as 500ms, or the 50th and the 95th percentile such as 500ms/2s", text)
	}
	return LogNormal(p50, p95), nil
}

// IsZero reports whether it takes no time.
func (d Distribution) IsZero() bool { return len(d.samples) == 0 && d.median == 0 && d.mean == 0 }

// Mean returns the mean.
func (d Distribution) Mean() time.Duration {
	switch {
	case len(d.samples) > 0:
		sum := 0.0
		for _, s := range d.samples {
			sum += float64(s)
		}
		return time.Duration(sum / float64(len(d.samples)))
	case d.mean > 0:
		return d.mean
	default:
		return time.Duration(float64(d.median) * math.Exp(d.sigma*d.sigma/2))
	}
}

// Scale returns a Distribution that takes so many times as long.
func (d Distribution) Scale(factor float64) Distribution {
	d.median, d.mean = scale(d.median, factor), scale(d.mean, factor)
	d.samples = slices.Clone(d.samples)
	for i := range d.samples {
		d.samples[i] = scale(d.samples[i], factor)
	}
	return d
}

func scale(d time.Duration, factor float64) time.Duration {
	return time.Duration(min(float64(d)*factor, float64(longest)))
}

// draw draws a time.
func (d Distribution) draw(random *rand.Rand) time.Duration {
	switch {
	case len(d.samples) > 0:
		return d.samples[random.IntN(len(d.samples))]
	case d.mean > 0:
		return scale(d.mean, random.ExpFloat64())
	case d.sigma > 0:
		return scale(d.median, math.Exp(d.sigma*random.NormFloat64()))
	default:
		return d.median
	}
}

// String returns the times as ParseDistribution takes them.
func (d Distribution) String() string {
	switch {
	case len(d.samples) > 0:
		return fmt.Sprintf("%d measured times, mean %s", len(d.samples), d.Mean().Round(time.Millisecond))
	case d.mean > 0:
		return fmt.Sprintf("exponential, mean %s", d.mean)
	case d.sigma > 0:
		return fmt.Sprintf("%s/%s", d.median, scale(d.median, math.Exp(d.sigma*normal95)).Round(time.Millisecond))
	default:
		return d.median.String()
	}
}
