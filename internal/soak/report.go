package soak

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	gen "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// An Invariant is something that holds of every answer of the scaler.
type Invariant string

// The invariants.
const (
	// Understated: nothing is reported below what was last known while the queue cannot be
	// read, and a failed read is no zero.
	Understated Invariant = "understated"
	// Reading: what is reported lies within what the queue held since the last sample.
	Reading Invariant = "reading"
	// Announced: work that has been there for longer than the documented bound is announced.
	Announced Invariant = "announced"
	// Idle: an empty queue is inactive.
	Idle Invariant = "idle"
	// Available: a queue that can be read is answered for, and no error is any other than
	// Unavailable.
	Available Invariant = "available"
	// Leak: goroutines, connections and memory return to what they were.
	Leak Invariant = "leak"
	// Noise: log lines are bounded.
	Noise Invariant = "noise"
)

// A Violation is an invariant that did not hold.
type Violation struct {
	Invariant Invariant
	// Trigger is the ScaledObject, and Fault the last fault before.
	Trigger, Fault string
	// At is the offset from the start of the run.
	At   time.Duration
	Text string
}

// String returns the violation as a line.
func (v Violation) String() string {
	return fmt.Sprintf("%9.3fs  %s: %s: %s (after %q)", v.At.Seconds(), v.Invariant, v.Trigger, v.Text, v.Fault)
}

// A report collects violations and prints the first of each kind with all that is known.
// It is safe for concurrent use.
type report struct {
	out  io.Writer
	seed uint64

	mu sync.Mutex
	// zero is when the run began.
	zero  time.Time
	found []Violation
	// seen are how often each kind was found, by invariant, topology and fault.
	seen map[string]int
}

// add notes a violation and reports whether it is the first of its kind.
func (r *report) add(v Violation, topology string) (first bool) {
	kind := string(v.Invariant) + ", " + topology + ", after " + v.Fault
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[kind]++
	if r.seen[kind] > 1 {
		return false
	}
	r.found = append(r.found, v)
	return true
}

// setZero sets the start of the run.
func (r *report) setZero(zero time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.zero = zero
}

// start returns the start of the run.
func (r *report) start() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.zero
}

// all returns the first violation of each kind.
func (r *report) all() []Violation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.found)
}

// summary lists how often each kind of violation was found.
func (r *report) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for kind, n := range r.seen {
		lines = append(lines, fmt.Sprintf("%6d  %s\n", n, kind))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// violate notes that an invariant did not hold for a trigger.
func (r *run) violate(w *watch, invariant Invariant, at time.Time, text string) {
	v := Violation{invariant, w.ref.GetName(), r.troubles.last(w.topology), at.Sub(r.report.start()), text}
	if !r.report.add(v, w.topology) {
		return
	}
	if r.options.Until != nil && r.options.Until(v) {
		r.end()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nVIOLATION (seed %d)\n%s\n\nfaults:\n%s\nthe queue held:\n%s\nexplain:\n%s\nlog:\n%s", r.report.seed, v,
		r.troubles.lines(6, r.report.start()), w.queue.History.Text(at.Add(-old), at, r.report.start()), r.explain(w.ref.GetName()), r.log.lastLines(8))
	r.print(b.String())
}

// violateAll notes that an invariant did not hold for the scaler as a whole.
func (r *run) violateAll(invariant Invariant, what, text string) {
	v := Violation{invariant, what, r.troubles.last(scalerTopology), time.Since(r.report.start()), text}
	if r.report.add(v, what) {
		r.print(fmt.Sprintf("\nVIOLATION (seed %d)\n%s\n", r.report.seed, v))
	}
}

// print prints, a text at a time.
func (r *run) print(text string) {
	r.printing.Lock()
	defer r.printing.Unlock()
	_, _ = io.WriteString(r.report.out, text)
}

// explained returns what the scaler knows of a trigger.
func explained(ctx context.Context, address, name string) string {
	client, err := inspector.NewClient(address)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	response, err := client.Explain(ctx, &gen.ExplainRequest{Namespace: namespace, ScaledObject: name})
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	if err := explain.Text(&b, response); err != nil {
		return err.Error()
	}
	return b.String()
}
