// Package tuning searches settings of a ScaledObject that meet a goal at the least cost on a trace. It
// is pure: the same input and seed give the same result.
package tuning

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A Goal is how long messages should wait at most.
type Goal struct {
	// Percentile is that of the messages, from 1 to 99.
	Percentile int
	Wait       time.Duration
}

// Rates are those of a trace, in messages per second.
type Rates struct {
	// Mean is that of the whole trace, and Most that of its busiest minute.
	Mean, Most float64
}

// RatesOf returns the rates of a trace.
func RatesOf(t *trace.Trace) Rates {
	minutes := make(map[time.Duration]float64)
	for _, a := range t.Arrivals {
		first, last := a.At/time.Minute, (a.At+a.Over)/time.Minute
		for minute := first; minute <= last; minute++ {
			minutes[minute] += float64(a.Count) / float64(last-first+1)
		}
	}
	most := 0.0
	for _, n := range minutes {
		most = max(most, n)
	}
	return Rates{Mean: float64(t.Messages()) / t.End.Seconds(), Most: most / 60}
}

// maxReplicas bounds what Replicas returns.
const maxReplicas = 10_000

// Replicas returns the least number of replicas with which the part of the messages that waits for
// longer than the goal is small enough, at a constant rate: M/M/c, where c is the number of messages
// that all replicas work on.
//
// Worked example: 8 messages a second of 1 s each need more than 8 servers. With 9 of them 65 % wait,
// each for 1 s in the mean, and with 12 of them 14 % for 0.25 s.
func Replicas(rate float64, service time.Duration, concurrency int, goal Goal) int32 {
	load, late := rate*service.Seconds(), 1-float64(goal.Percentile)/100
	if load <= 0 {
		return 1
	}
	blocked := 1.0 // Erlang B of k servers, by its recursion
	for k := 1; k <= maxReplicas*concurrency; k++ {
		blocked = load * blocked / (float64(k) + load*blocked)
		spare := float64(k) - load
		if spare <= 0 || k%concurrency != 0 {
			continue
		}
		delayed := blocked * float64(k) / (spare + load*blocked)
		if delayed*math.Exp(-spare*goal.Wait.Seconds()/service.Seconds()) <= late {
			return int32(k / concurrency) //nolint:gosec // at most maxReplicas
		}
	}
	return maxReplicas
}

// A space is what settings are drawn from.
type space struct {
	goal    Goal
	workers *simulation.Workers
	service time.Duration
	rates   Rates
	// bounds limits the search to the smallest and the largest number of replicas.
	bounds bool
	today  *candidate.Candidate
}

// The numbers of what is drawn for one point: the bounds and the size, then what a trigger has or what a
// policy has, and for a policy its floors.
const (
	sharedDimensions  = 5
	triggerDimensions = 4
	policyDimensions  = 6
)

// points draws settings by a Latin hypercube: of each dimension every part of its range is drawn once.
func (s *space) points(n int, seed uint64) []candidate.Settings {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // not for secrets
	columns := make([][]float64, s.dimensions())
	for d := range columns {
		columns[d] = make([]float64, n)
		for i, place := range random.Perm(n) {
			columns[d][i] = (float64(place) + random.Float64()) / float64(n)
		}
	}
	points := make([]candidate.Settings, 0, n)
	for i := range n {
		u := make([]float64, len(columns))
		for d := range u {
			u[d] = columns[d][i]
		}
		points = append(points, s.point(u))
	}
	return points
}

// dimensions returns the number of what is drawn for one point.
func (s *space) dimensions() int {
	if s.today.Policy == nil {
		return sharedDimensions + triggerDimensions
	}
	return sharedDimensions + policyDimensions + len(floors(s.today.Policy))
}

// point returns settings by numbers from 0 to 1.
func (s *space) point(u []float64) candidate.Settings {
	var p candidate.Settings
	mean, most := s.replicas(s.rates.Mean), s.replicas(s.rates.Most)
	p.Min = pick(u[0], nil, new(int32(0)), new(int32(1)), new((mean+1)/2), new(mean))
	p.Max = pick(u[1], nil, new(most), new(most+(most+1)/2), new(2*most))
	switch {
	case s.bounds:
	case s.today.Policy != nil:
		if s.today.Sized() != "" {
			s.size(&p, u[2], u[3], u[4])
		}
		s.policy(&p, u[sharedDimensions:])
	default:
		s.size(&p, u[2], u[3], u[4])
		p.Hold = hold(u[5])
		p.DownWindow = pick(u[6], nil, new(time.Duration(0)), new(time.Minute), new(2*time.Minute), new(5*time.Minute))
		p.FastUp = u[7] >= 0.5
		p.Tolerance = pick(u[8], nil, nil, new(0.0))
	}
	if p.Max != nil {
		p.Max = new(max(*p.Max, s.least(&p), 1))
	}
	// What is so today is no change.
	least, largest := s.today.Bounds()
	if p.Min != nil && *p.Min == least {
		p.Min = nil
	}
	if p.Max != nil && *p.Max == largest {
		p.Max = nil
	}
	return p
}

func hold(u float64) *time.Duration {
	return pick(u, nil, new(time.Duration(0)), new(30*time.Second), new(time.Minute), new(2*time.Minute), new(5*time.Minute))
}

// least returns the largest number of replicas that settings ask for at any time, which the maximum is not
// below.
func (s *space) least(p *candidate.Settings) int32 {
	least, _ := s.today.Bounds()
	if p.Min != nil {
		least = *p.Min
	}
	if s.today.Policy == nil {
		return least
	}
	for _, f := range floors(s.today.Policy) {
		drawn := slices.IndexFunc(p.Floors, func(other candidate.Floor) bool { return other.Schedule == f.Schedule })
		if drawn >= 0 {
			f = p.Floors[drawn]
		}
		least = max(least, f.Replicas)
	}
	return least
}

// size draws the target or the drain time.
func (s *space) size(p *candidate.Settings, kind, size, window float64) {
	perSecond := float64(s.workers.Concurrency) / s.service.Seconds()
	switch {
	case kind < 0.1: // as today
	case kind < 0.55:
		// From as many messages as a replica works on at once to twice what it finishes within the goal.
		least := float64(s.workers.Concurrency)
		most := max(2*least, 2*perSecond*s.goal.Wait.Seconds())
		p.Target = round(min(least*math.Pow(most/least, size), 1e6))
	default:
		p.DrainTime = bounded(scaled(s.goal.Wait, math.Pow(2, 3*size-2)), time.Second, 24*time.Hour)
		p.Throughput = round(perSecond)
		p.RateWindow = *pick(window, new(30*time.Second), new(time.Minute), new(2*time.Minute), new(5*time.Minute))
	}
}

func (s *space) replicas(rate float64) int32 {
	return Replicas(rate, s.service, s.workers.Concurrency, s.goal)
}

// pick returns one of several values by a number from 0 to 1.
func pick[T any](u float64, values ...*T) *T {
	return values[min(int(u*float64(len(values))), len(values)-1)]
}

func scaled(d time.Duration, factor float64) time.Duration {
	return time.Duration(float64(d) * factor).Round(time.Second)
}

func bounded(d, least, most time.Duration) time.Duration { return min(max(d, least), most) }

// round rounds to two digits, as a person would write a setting.
func round(value float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(value))-1)
	rounded := math.Round(value/power) * power
	// Without what binary fractions leave behind.
	return math.Round(rounded*1e6) / 1e6
}
