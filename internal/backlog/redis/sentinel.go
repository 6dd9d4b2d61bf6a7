package redis

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A vote is the master as one sentinel knows it.
type vote struct {
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
func resolveSentinel(cfg *config, p *panel) resolver {
	commands := [][]any{{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", cfg.masterName}, {"SENTINEL", "MASTER", cfg.masterName}}
	return func(ctx context.Context, now []shard) ([]shard, error) {
		answers := p.ask(ctx, commands...)
		votes := count(answers)
		if len(votes) == 0 {
			answers = append(answers, p.widen(ctx, func(more []panelAnswer) bool { return len(count(more)) > 0 }, commands...)...)
			votes = count(answers)
		}
		if len(votes) == 0 {
			p.believe(nil, nil)
			return nil, problem(answers)
		}
		elected := elect(votes, now)
		from := make([]string, len(elected))
		for i, v := range elected {
			from[i] = v.from
		}
		if 2*len(elected) <= elected[0].sentinels {
			if err := p.checkQuorum(ctx, cfg.masterName, elected[0]); err != nil {
				return nil, err
			}
		}
		p.believe(from, nil)
		return []shard{{from: 0, to: slots - 1, address: elected[0].address}}, nil
	}
}

// count returns the votes in some answers. An answer that is none gets an error.
func count(answers []panelAnswer) []vote {
	var votes []vote
	for i, a := range answers {
		if a.err != nil {
			continue
		}
		v, err := newVote(a)
		if err != nil {
			answers[i].err = err
			continue
		}
		votes = append(votes, v)
	}
	return votes
}

func newVote(a panelAnswer) (vote, error) {
	pair, ok := a.replies[0].Value.([]any)
	if !ok || len(pair) != 2 {
		return vote{}, fmt.Errorf("%w: %v of sentinel %s where an address belongs", resp.ErrReply, a.replies[0].Value, a.from)
	}
	v := vote{from: a.from, address: net.JoinHostPort(resp.Text(pair[0]), resp.Text(pair[1])), epoch: -1}
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

// elect returns the votes for the master that is believed: that of the latest failover, then
// the one that most sentinels name, then the one that is believed now. The vote that knows
// the most sentinels comes first.
func elect(votes []vote, now []shard) []vote {
	parties := make(map[string][]vote)
	for _, v := range votes {
		parties[v.address] = append(parties[v.address], v)
	}
	rank := func(a, b vote) int {
		newest := func(v vote) int64 {
			return slices.MaxFunc(parties[v.address], func(a, b vote) int { return cmp.Compare(a.epoch, b.epoch) }).epoch
		}
		kept := func(v vote) int {
			return boolean(slices.ContainsFunc(now, func(s shard) bool { return s.address == v.address }))
		}
		return cmp.Or(cmp.Compare(newest(a), newest(b)), len(parties[a.address])-len(parties[b.address]), kept(a)-kept(b), strings.Compare(b.address, a.address))
	}
	elected := parties[slices.MaxFunc(votes, rank).address]
	slices.SortStableFunc(elected, func(a, b vote) int { return b.sentinels - a.sentinels })
	return elected
}

// checkQuorum returns an error if a sentinel reaches neither most of the others nor any
// replica of its master. Then the others may have made one of them the master.
func (p *panel) checkQuorum(ctx context.Context, name string, v vote) error {
	s := &scout{panel: p, address: v.from}
	defer s.close()
	quorum := s.ask(ctx, [][]any{{"SENTINEL", "CKQUORUM", name}})
	if quorum.err == nil || !strings.Contains(resp.ServerText(quorum.err), "NOQUORUM") || v.replicas == 0 {
		return nil
	}
	replicas := s.ask(ctx, [][]any{{"SENTINEL", "SLAVES", name}})
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
