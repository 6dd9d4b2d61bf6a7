// Package replicas asks several replicas of the scaler as if they were one. Each replica reports what it knows
// itself. Of a trigger that several know the report of the one counts that KEDA called last.
package replicas

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	io.Closer

	ListTriggers(ctx context.Context, request *pb.ListTriggersRequest) (*pb.ListTriggersResponse, error)
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

// A Group asks its replicas at once. Close must be called.
type Group struct {
	replicas []Replica
	find     Finder

	mu    sync.Mutex // guards noted, and is held while write is called
	noted map[string]bool
	write func(string)
}

// NewGroup returns the group of replicas, which closes them. find may be nil: a watch ends with its replicas
// then. note is called with a line about which replica answers, and about each that does not; one call at a
// time.
func NewGroup(replicas []Replica, find Finder, note func(string)) *Group {
	return &Group{replicas: replicas, find: find, noted: make(map[string]bool), write: note}
}

// Close closes the replicas.
func (g *Group) Close() error {
	var errs []error
	for _, r := range g.replicas {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// note notes a line, once however often it is true.
func (g *Group) note(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.noted[line] {
		g.noted[line] = true
		g.write(line)
	}
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

// ListTriggers returns the triggers that any replica knows.
func (g *Group) ListTriggers(ctx context.Context, request *pb.ListTriggersRequest) ([]*pb.Trigger, error) {
	answers, err := good(g, ask(g, func(s Scaler) (*pb.ListTriggersResponse, error) { return s.ListTriggers(ctx, request) }))
	if err != nil {
		return nil, err
	}
	var merged []*pb.Trigger
	known := make(map[string]bool)
	for _, a := range answers {
		for _, t := range a.response.GetTriggers() {
			if k := key(t); !known[k] {
				known[k] = true
				merged = append(merged, t)
			}
		}
	}
	return merged, nil
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

// later reports whether KEDA called for a later than for b.
func later(a, b *pb.Explanation) bool { return calledAt(a).After(calledAt(b)) }

// calledAt is when KEDA last called; zero if it never did.
func calledAt(e *pb.Explanation) time.Time {
	if at := e.GetCallHistory().GetLastCallAt(); at != nil {
		return at.AsTime()
	}
	return time.Time{}
}
