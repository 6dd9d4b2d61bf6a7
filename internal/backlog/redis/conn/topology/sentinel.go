package topology

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A masterView is the master as one sentinel knows it.
type masterView struct {
	from, address string
	// epoch is the configuration epoch of the master: each failover has a larger one. It is
	// -1 where the sentinel does not allow that question.
	epoch int64
	// sentinels is how many sentinels it knows, itself included, and replicas how many
	// replicas of the master.
	sentinels, replicas int
}

// resolveSentinel asks the sentinels for the master, and compares what they say. A sentinel
// alone may have been removed, or be cut off, and names a master of the past.
func resolveSentinel(cfg *conn.Config, p *clientSet) resolver {
	commands := [][]any{{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", cfg.MasterName}, {"SENTINEL", "MASTER", cfg.MasterName}}
	return func(ctx context.Context, now []shard) ([]shard, error) {
		answers := p.ask(ctx, commands...)
		views := masterViews(answers)
		if len(views) == 0 {
			answers = append(answers, p.widen(ctx, func(more []answer) bool { return len(masterViews(more)) > 0 }, commands...)...)
			views = masterViews(answers)
		}
		if len(views) == 0 {
			p.believe(nil, nil)
			return nil, joinErrors(answers)
		}
		chosen := mostCredibleMaster(views, now)
		from := make([]string, len(chosen))
		for i, v := range chosen {
			from[i] = v.from
		}
		if 2*len(chosen) <= chosen[0].sentinels {
			if err := p.checkQuorum(ctx, cfg.MasterName, chosen[0]); err != nil {
				return nil, err
			}
		}
		p.believe(from, nil)
		return []shard{{from: 0, to: Slots - 1, address: chosen[0].address}}, nil
	}
}

// masterViews returns the views in some answers. An answer that is none gets an error.
func masterViews(answers []answer) []masterView {
	var views []masterView
	for i, a := range answers {
		if a.err != nil {
			continue
		}
		v, err := newMasterView(a)
		if err != nil {
			answers[i].err = err
			continue
		}
		views = append(views, v)
	}
	return views
}

func newMasterView(a answer) (masterView, error) {
	pair, ok := a.replies[0].Value.([]any)
	if !ok || len(pair) != 2 {
		return masterView{}, fmt.Errorf("%w: %v of sentinel %s where an address belongs", resp.ErrReply, a.replies[0].Value, a.from)
	}
	v := masterView{from: a.from, address: net.JoinHostPort(resp.Text(pair[0]), resp.Text(pair[1])), epoch: -1}
	list, _ := a.replies[1].Value.([]any)
	for i := 0; i+1 < len(list); i += 2 {
		n, err := strconv.ParseInt(resp.Text(list[i+1]), 10, 64)
		if err != nil {
			continue
		}
		switch resp.Text(list[i]) {
		case "config-epoch":
			v.epoch = n
		case "num-other-sentinels":
			v.sentinels = int(n) + 1
		case "num-slaves":
			v.replicas = int(n)
		}
	}
	return v, nil
}

// mostCredibleMaster returns the views of the master that is believed: that of the latest
// failover, then the one that most sentinels name, then the one that is believed now. The view
// of the sentinel that knows the most others comes first.
func mostCredibleMaster(views []masterView, now []shard) []masterView {
	byMaster := make(map[string][]masterView)
	for _, v := range views {
		byMaster[v.address] = append(byMaster[v.address], v)
	}
	rank := func(a, b masterView) int {
		newest := func(v masterView) int64 {
			return slices.MaxFunc(byMaster[v.address], func(a, b masterView) int { return cmp.Compare(a.epoch, b.epoch) }).epoch
		}
		isCurrent := func(v masterView) int {
			return toInt(slices.ContainsFunc(now, func(s shard) bool { return s.address == v.address }))
		}
		return cmp.Or(cmp.Compare(newest(a), newest(b)), len(byMaster[a.address])-len(byMaster[b.address]), isCurrent(a)-isCurrent(b), strings.Compare(b.address, a.address))
	}
	chosen := byMaster[slices.MaxFunc(views, rank).address]
	slices.SortStableFunc(chosen, func(a, b masterView) int { return b.sentinels - a.sentinels })
	return chosen
}

// checkQuorum returns an error if a sentinel reaches neither most of the others nor any
// replica of its master. Then the others may have made one of them the master.
func (s *clientSet) checkQuorum(ctx context.Context, name string, v masterView) error {
	c := &client{set: s, address: v.from}
	defer c.close()
	quorum := c.ask(ctx, [][]any{{"SENTINEL", "CKQUORUM", name}})
	if quorum.err == nil || !strings.Contains(resp.ServerText(quorum.err), "NOQUORUM") || v.replicas == 0 {
		return nil
	}
	replicas := c.ask(ctx, [][]any{{"SENTINEL", "SLAVES", name}})
	if replicas.err != nil {
		return nil
	}
	list, _ := replicas.replies[0].Value.([]any)
	for _, one := range list {
		fields, _ := one.([]any)
		for i := 0; i+1 < len(fields); i += 2 {
			if resp.Text(fields[i]) == "flags" && !strings.Contains(resp.Text(fields[i+1]), "down") && !strings.Contains(resp.Text(fields[i+1]), "disconnected") {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: sentinel %s: %w", backlog.ErrUnavailable, v.from, errCutOff)
}
