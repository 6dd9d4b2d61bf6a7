package main

import (
	"context"
	"slices"
	"strings"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubectl"
)

// A kind takes names out of a trigger: the namespace and the name of an object, if the trigger has one.
type kind func(t *pb.Trigger) (namespace, name string)

func scaledObjects(t *pb.Trigger) (namespace, name string) {
	return t.GetNamespace(), t.GetScaledObject()
}
func policies(t *pb.Trigger) (namespace, name string)   { return t.GetNamespace(), t.GetPolicy() }
func namespaces(t *pb.Trigger) (namespace, name string) { return t.GetNamespace(), t.GetNamespace() }

// contexts are those of the kubeconfig; none if it cannot be read.
func contexts(kubeconfig string) []string {
	names, err := kubectl.Contexts(kubectl.Flags{Kubeconfig: kubeconfig})
	if err != nil {
		return nil
	}
	return names
}

// reach returns the flags by which the scaler is found.
func (p *position) reach() *reach {
	return &reach{
		access: access{
			Namespace: p.first("namespace"), Context: p.first("context"), Kubeconfig: p.first("kubeconfig"), As: p.first("as"), AsGroup: p.flags["as-group"],
		},
		Address: p.first("address"), ScalerNamespace: p.first("scaler-namespace"), ScalerRelease: p.first("scaler-release"), ScalerSelector: p.first("scaler-selector"),
	}
}

// named returns names of objects in the namespace of the flags, or with a namespace before each if the word has one.
func (p *position) named(ctx context.Context, word string, of kind) []string {
	if len(p.places) > 0 {
		return nil // there is one argument
	}
	if namespace, _, qualified := strings.Cut(word, "/"); qualified {
		names := p.known(ctx, namespace, of)
		for i := range names {
			names[i] = namespace + "/" + names[i]
		}
		return names
	}
	namespace, err := p.reach().in()
	if err != nil {
		return nil
	}
	return p.known(ctx, namespace, of)
}

// triggers returns the names of the triggers of the ScaledObject that is there.
func (p *position) triggers(ctx context.Context) []string {
	namespace, name, err := p.reach().qualify(p.places[0])
	if err != nil {
		return nil
	}
	return p.known(ctx, namespace, func(t *pb.Trigger) (string, string) {
		if t.GetScaledObject() != name {
			return "", ""
		}
		return t.GetNamespace(), t.GetName()
	})
}

// known returns names that the replicas of the scaler know in a namespace, or in all if it is empty, sorted. A replica that
// does not answer in time adds none.
func (p *position) known(ctx context.Context, namespace string, of kind) []string {
	s, err := p.reach().open(ctx, func(string) {})
	if err != nil {
		return nil
	}
	defer func() { _ = s.Close() }() // there is no place for its error
	triggers, err := s.ListTriggers(ctx, &pb.ListTriggersRequest{Namespace: namespace})
	if err != nil {
		return nil
	}
	var names []string
	for _, t := range triggers {
		if _, name := of(t); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
