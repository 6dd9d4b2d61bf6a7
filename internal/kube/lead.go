package kube

import (
	"context"
	"log/slog"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/api"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/election"
)

// A lease is the Lease of the leader, in the API server.
type lease struct {
	client          *api.Client
	namespace, name string
}

func leaseResource() schema.GroupVersionResource {
	return coordinationv1.SchemeGroupVersion.WithResource("leases")
}

// Get reads the Lease.
func (l lease) Get(ctx context.Context) (*coordinationv1.Lease, error) {
	stored := &coordinationv1.Lease{}
	return stored, l.client.Get(ctx, leaseResource(), l.namespace, l.name, stored)
}

// Create creates the Lease.
func (l lease) Create(ctx context.Context, written *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	stored := &coordinationv1.Lease{}
	return stored, l.client.Create(ctx, leaseResource(), written, stored)
}

// Update replaces the Lease.
func (l lease) Update(ctx context.Context, written *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	stored := &coordinationv1.Lease{}
	return stored, l.client.Update(ctx, leaseResource(), written, stored)
}

// lead takes part in the election of the leader until the context ends. A replica that lost the
// Lease goes on as a candidate; the process does not end.
func (c *Controller) lead(ctx context.Context) {
	if c.options.Lease == "" {
		return
	}
	election.New(election.Options{
		Store:     lease{c.client, c.options.LeaseNamespace, c.options.Lease},
		Namespace: c.options.LeaseNamespace, Name: c.options.Lease, Identity: c.options.Identity,
		Leadership: c.leadership, Logger: c.logger, Now: c.now,
	}).Run(ctx)
}

// followTerms adds every policy when this replica begins to lead.
func (c *Controller) followTerms(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.leadership.Begun():
			c.logger.Info("begins to write for all policies", slog.String("lease", c.options.Lease))
			c.addAll()
		}
	}
}
