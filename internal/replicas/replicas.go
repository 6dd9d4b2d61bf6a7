// Package replicas asks several replicas of the scaler as if they were one. Each replica reports what it knows
// itself. Of a trigger that several know the report of the one counts that KEDA called last.
package replicas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// A Scaler is one replica.
type Scaler interface {
	Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error)
	ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error)
	ListConnections(ctx context.Context) (*pb.ListConnectionsResponse, error)
	Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error
}

// A Replica is a scaler with a name, such as that of its pod.
type Replica struct {
	Name string
	Scaler
}

// A Group asks its replicas at once.
type Group struct {
	replicas []Replica
	note     func(string)
}

// NewGroup returns the group of replicas. note is called with a line about which replica answers, and about
// each that does not; one call at a time, and once with each line.
func NewGroup(replicas []Replica, note func(string)) *Group {
	var mu sync.Mutex // guards noted, and is held while note is called
	noted := make(map[string]bool)
	return &Group{replicas: replicas, note: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		if !noted[line] {
			noted[line] = true
			note(line)
		}
	}}
}

// An answer is what one replica returned.
type answer[T any] struct {
	name     string
	response T
	err      error
}

// ask asks all replicas and returns their answers in order.
func ask[T any](g *Group, call func(Scaler) (T, error)) []answer[T] {
	answers := make([]answer[T], len(g.replicas))
	var calls sync.WaitGroup
	for i, r := range g.replicas {
		calls.Go(func() {
			response, err := call(r.Scaler)
			answers[i] = answer[T]{r.Name, response, err}
		})
	}
	calls.Wait()
	return answers
}

// good returns the answers without an error, and notes those with one. The error is that of an unknown name if
// a replica returned it, because it suggests others; else all of them.
func good[T any](g *Group, answers []answer[T]) ([]answer[T], error) {
	var answered []answer[T]
	var unknown, failed []error
	for _, a := range answers {
		var name inspector.UnknownError
		switch {
		case a.err == nil:
			answered = append(answered, a)
		case errors.As(a.err, &name):
			unknown = append(unknown, a.err)
		default:
			failed = append(failed, named(a.name, a.err))
		}
	}
	if len(answered) == 0 && len(unknown) == 0 {
		return nil, errors.Join(failed...)
	}
	for _, err := range failed {
		g.note("One replica does not answer: " + err.Error())
	}
	if len(answered) > 0 {
		return answered, nil
	}
	// That with a suggestion helps most.
	slices.SortStableFunc(unknown, func(a, b error) int { return suggestions(b) - suggestions(a) })
	return nil, unknown[0]
}

// named returns the error of a replica with its name, which most have.
func named(name string, err error) error {
	if strings.Contains(err.Error(), name) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// suggestions ranks an error by what it suggests.
func suggestions(err error) int {
	switch text := err.Error(); {
	case strings.Contains(text, "did you mean"):
		return 2
	case strings.Contains(text, "known"), strings.Contains(text, "it has"):
		return 1
	default:
		return 0
	}
}

// Explain returns the explanation of each trigger by the replica that KEDA called last for it.
func (g *Group) Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	answers, err := good(g, ask(g, func(s Scaler) (*pb.ExplainResponse, error) { return s.Explain(ctx, request) }))
	if err != nil {
		return nil, err
	}
	merged := &pb.ExplainResponse{}
	triggers := make(map[string]int) // to the index of the explanation in merged
	owners := make([]string, 0, len(answers))
	for _, a := range answers {
		if at := a.response.GetAt(); merged.GetAt() == nil || at.AsTime().After(merged.GetAt().AsTime()) {
			merged.At = at
		}
		if merged.GetConfigurationError() == "" {
			merged.ConfigurationError = a.response.GetConfigurationError()
		}
		for _, e := range a.response.GetExplanations() {
			i, known := triggers[key(e.GetTrigger())]
			switch {
			case !known:
				triggers[key(e.GetTrigger())] = len(merged.GetExplanations())
				merged.Explanations = append(merged.Explanations, e)
				owners = append(owners, a.name)
			case later(e, merged.GetExplanations()[i]):
				merged.Explanations[i], owners[i] = e, a.name
			}
		}
	}
	g.noteOwners(merged, owners)
	return merged, nil
}

// noteOwners says which replica answers, if there are several.
func (g *Group) noteOwners(r *pb.ExplainResponse, owners []string) {
	if len(g.replicas) < 2 || len(owners) == 0 {
		return
	}
	names := slices.Compact(slices.Sorted(slices.Values(owners)))
	if len(names) == 1 {
		text := ""
		if called := calledAt(r.GetExplanations()[0]); !called.IsZero() {
			text = ", which KEDA called last"
		}
		g.note(fmt.Sprintf("Of %d replicas %s answers%s.", len(g.replicas), names[0], text))
		return
	}
	for i, e := range r.GetExplanations() {
		g.note(fmt.Sprintf("Of %d replicas %s answers for %s.", len(g.replicas), owners[i], e.GetTrigger().GetName()))
	}
}

// ExplainPolicy returns the explanation of the replica that decided last.
func (g *Group) ExplainPolicy(ctx context.Context, request *pb.ExplainPolicyRequest) (*pb.ExplainPolicyResponse, error) {
	answers, err := good(g, ask(g, func(s Scaler) (*pb.ExplainPolicyResponse, error) { return s.ExplainPolicy(ctx, request) }))
	if err != nil {
		return nil, err
	}
	last := answers[0]
	for _, a := range answers[1:] {
		if a.response.GetExplanation().GetPolicy().GetDecidedAt().AsTime().After(last.response.GetExplanation().GetPolicy().GetDecidedAt().AsTime()) {
			last = a
		}
	}
	if len(g.replicas) > 1 {
		g.note(fmt.Sprintf("Of %d replicas %s answers, which decided last.", len(g.replicas), last.name))
	}
	return last.response, nil
}

// ListConnections returns each connection as the replica reports it that reached the server last.
func (g *Group) ListConnections(ctx context.Context) (*pb.ListConnectionsResponse, error) {
	answers, err := good(g, ask(g, func(s Scaler) (*pb.ListConnectionsResponse, error) { return s.ListConnections(ctx) }))
	if err != nil {
		return nil, err
	}
	merged := &pb.ListConnectionsResponse{}
	connections := make(map[string]*pb.Connection)
	for _, a := range answers {
		if at := a.response.GetAt(); merged.GetAt() == nil || at.AsTime().After(merged.GetAt().AsTime()) {
			merged.At = at
		}
		if merged.GetConfigurationError() == "" {
			merged.ConfigurationError = a.response.GetConfigurationError()
		}
		for _, c := range a.response.GetConnections() {
			last, known := connections[c.GetName()]
			if !known || c.GetLastContactAt().AsTime().After(last.GetLastContactAt().AsTime()) {
				connections[c.GetName()] = c
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(connections)) {
		merged.Connections = append(merged.Connections, connections[name])
	}
	return merged, nil
}

// Watch shows the changes of all replicas until ctx ends, which is no error, or until show returns an error or no
// replica is left.
func (g *Group) Watch(ctx context.Context, request *pb.WatchDecisionsRequest, show func(*pb.WatchDecisionsResponse) error) error {
	if len(g.replicas) == 1 {
		return g.replicas[0].Watch(ctx, request, show)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu     sync.Mutex // guards what follows, and is held while show is called, which gets one message at a time
		merged = newMerger(len(g.replicas))
		failed []error
		shown  error
	)
	names := make([]string, 0, len(g.replicas))
	for _, r := range g.replicas {
		names = append(names, r.Name)
	}
	g.note(fmt.Sprintf("Watching %d replicas: %s. Each trigger is as the one reports that KEDA called last.", len(names), strings.Join(names, ", ")))
	emit := func(r *pb.WatchDecisionsResponse) error {
		if shown == nil {
			shown = show(r)
		}
		return shown
	}
	var streams sync.WaitGroup
	for i, r := range g.replicas {
		streams.Go(func() {
			err := r.Watch(ctx, request, func(response *pb.WatchDecisionsResponse) error {
				mu.Lock()
				defer mu.Unlock()
				return emit(merged.update(i, response))
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil || shown != nil {
				cancel() // the caller has ended the watch, or its show has
				return
			}
			failed = append(failed, named(r.Name, err))
			if len(failed) < len(g.replicas) {
				g.note("One replica does not answer any more: " + failed[len(failed)-1].Error())
				if emit(merged.lose(i)) != nil {
					cancel()
				}
			}
		})
	}
	streams.Wait()
	switch {
	case shown != nil:
		return shown
	case len(failed) == len(g.replicas):
		return errors.Join(failed...)
	default:
		return nil
	}
}

// later reports whether KEDA called for a later than for b.
func later(a, b *pb.Explanation) bool { return calledAt(a).After(calledAt(b)) }

// calledAt is when KEDA last called; zero if it never did.
func calledAt(e *pb.Explanation) time.Time {
	if at := e.GetCallHistory().GetLastCallAt(); at != nil {
		return at.AsTime()
	}
	return time.Time{}
}
