package e2e_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/fakeworkers"
	"github.com/backlog-scaler/backlog-scaler/e2e/report"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// standing adds up the rounds of one competitor.
func standing(t *testing.T, k competitor, rounds []*round, began, ended time.Time) report.Contender {
	t.Helper()
	result := report.Contender{Name: k.name, Trigger: k.trigger(), Made: madeBefore(t, rounds, began)}
	seconds := int(ended.Sub(began)/time.Second) + 1
	result.Waiting, result.Replicas = make([]float64, seconds), make([]float64, seconds)
	share := 1 / float64(len(rounds)) // of each in the mean
	var waits []time.Duration
	for _, r := range rounds {
		taken, err := r.workers.Taken()
		check(t, err)
		ofRound := r.waits(t, taken)
		waits = append(waits, ofRound...)
		changes := r.workload.Since(began)
		result.ReplicaSeconds += share * replicaSeconds(changes, began, ended)
		for second := range seconds {
			at := began.Add(time.Duration(second) * time.Second)
			result.Waiting[second] += share * float64(r.waiting(ofRound, at))
			result.Replicas[second] += share * float64(replicasAt(changes, at))
		}
		for _, c := range changes {
			result.Peak = max(result.Peak, c.Replicas)
		}
	}
	round := func(values []float64) { // a tenth is enough to draw
		for i, v := range values {
			values[i], _ = strconv.ParseFloat(strconv.FormatFloat(v, 'f', 1, 64), 64)
		}
	}
	round(result.Waiting)
	round(result.Replicas)
	result.Messages = len(waits)
	result.P50, result.P99, result.Longest = quantile(waits, 0.50), quantile(waits, 0.99), slices.Max(waits)
	return result
}

// waits are the times from the write of each message until it was taken, in the order of writing. Each message must have
// been taken once.
func (r *round) waits(t *testing.T, taken []fakeworkers.Taken) []time.Duration {
	t.Helper()
	waits := make([]time.Duration, len(r.pushed))
	seen := make([]bool, len(r.pushed))
	for _, m := range taken {
		i, err := strconv.Atoi(m.Message)
		check(t, err)
		if seen[i] {
			t.Errorf("message %d of %s was taken twice", i, r.list)
		}
		seen[i] = true
		waits[i] = m.At.Sub(r.pushed[i])
	}
	if i := slices.Index(seen, false); i >= 0 {
		t.Errorf("message %d of %s was never taken", i, r.list)
	}
	return waits
}

// waiting counts the messages that were written and not taken at a moment.
func (r *round) waiting(waits []time.Duration, at time.Time) int {
	n := 0
	for i, pushed := range r.pushed {
		if !pushed.After(at) && pushed.Add(waits[i]).After(at) {
			n++
		}
	}
	return n
}

// replicaSeconds is the integral of the replicas. Worked: 2 for 10 s and then 0 is 20.
func replicaSeconds(changes []workload.Change, began, ended time.Time) float64 {
	sum := 0.0
	for i, c := range changes {
		from, to := c.At, ended
		if from.Before(began) {
			from = began
		}
		if i+1 < len(changes) {
			to = changes[i+1].At
		}
		sum += float64(c.Replicas) * to.Sub(from).Seconds()
	}
	return sum
}

// replicasAt is the value at a moment.
func replicasAt(changes []workload.Change, at time.Time) int32 {
	var replicas int32
	for _, c := range changes {
		if !c.At.After(at) {
			replicas = c.Replicas
		}
	}
	return replicas
}
