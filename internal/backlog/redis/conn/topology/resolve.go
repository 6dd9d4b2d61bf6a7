package topology

import (
	"context"
	"fmt"
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
)

// A resolver asks for the shards, in the order of their slots. now are those that are
// believed until then.
type resolver func(ctx context.Context, now []shard) ([]shard, error)

// resolveStandalone is the one server that the settings name.
func resolveStandalone(cfg *conn.Config) resolver {
	only := []shard{{from: 0, to: Slots - 1, address: cfg.Addresses[0]}}
	return func(context.Context, []shard) ([]shard, error) { return only, nil }
}

// resolveCluster asks nodes of the cluster which of them owns which slots, and compares what
// they say. A node alone may have been removed, or know nothing yet, or be cut off.
func resolveCluster(p *clientSet) resolver {
	commands := [][]any{{"CLUSTER", "SLOTS"}, {"CLUSTER", "NODES"}}
	return func(ctx context.Context, now []shard) ([]shard, error) {
		answers := p.ask(ctx, commands...)
		best, agreed := mostCredible(answers, now)
		if !agreed {
			if best != nil {
				// One alone is compared with those that it knows.
				_, p.known = best.addresses()
			}
			enough := func(more []answer) bool {
				_, agreed := mostCredible(slices.Concat(answers, more), now)
				return agreed
			}
			answers = append(answers, p.widen(ctx, enough, commands...)...)
			best, _ = mostCredible(answers, now)
		}
		if best == nil {
			p.believe(nil, p.known)
			return nil, joinErrors(answers)
		}
		from, known := best.addresses()
		p.believe(from, known)
		if best.cutOff {
			return nil, fmt.Errorf("%w: %w", backlog.ErrUnavailable, errCutOff)
		}
		return best.shards(), nil
	}
}

// mostCredible returns the most credible partition of some answers, nil if no node knows any
// slots. agreed reports that there are several nodes, and no other partition. An answer that is
// no view gets an error.
func mostCredible(answers []answer, now []shard) (best *partition, agreed bool) {
	var views []view
	for i, a := range answers {
		if a.err != nil {
			continue
		}
		v, err := newView(a)
		if err != nil {
			answers[i].err = err
			continue
		}
		views = append(views, v)
	}
	all := partitions(views, now)
	if len(all) == 0 {
		return nil, false
	}
	return &all[0], len(all) == 1 && all[0].members > 1 && !all[0].cutOff
}
