package redis

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// resolveStandalone is the one server that the settings name.
func resolveStandalone(cfg *config) func(context.Context) ([]shard, error) {
	only := []shard{{from: 0, to: slots - 1, address: cfg.addresses[0]}}
	return func(context.Context) ([]shard, error) { return only, nil }
}

// resolveSentinel asks the sentinels for the master.
func resolveSentinel(cfg *config, s *scout) func(context.Context) ([]shard, error) {
	return func(ctx context.Context) ([]shard, error) {
		value, from, err := s.ask(ctx, cfg.addresses, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", cfg.masterName)
		if err != nil {
			return nil, err
		}
		pair, ok := value.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("%w: %v of sentinel %s where an address belongs", errReply, value, from)
		}
		address := net.JoinHostPort(text(pair[0]), text(pair[1]))
		return []shard{{from: 0, to: slots - 1, address: address}}, nil
	}
}

// resolveCluster asks a server of the cluster which of them owns which slots.
func resolveCluster(cfg *config, s *scout) func(context.Context) ([]shard, error) {
	candidates := slices.Clone(cfg.addresses)
	return func(ctx context.Context) ([]shard, error) {
		value, from, err := s.ask(ctx, candidates, "CLUSTER", "SLOTS")
		if err != nil {
			return nil, err
		}
		shards, err := parseSlots(value, from)
		if err != nil {
			return nil, err
		}
		for _, sh := range shards {
			if !slices.Contains(candidates, sh.address) {
				candidates = append(candidates, sh.address)
			}
		}
		return shards, nil
	}
}

// parseSlots reads a reply of CLUSTER SLOTS that came from the given address.
func parseSlots(value any, from string) ([]shard, error) {
	ranges, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: %T where the slots belong", errReply, value)
	}
	if len(ranges) == 0 {
		return nil, fmt.Errorf("%w: the cluster has no slots", backlog.ErrUnavailable)
	}
	shards := make([]shard, 0, len(ranges))
	for _, r := range ranges {
		s, err := parseSlotRange(r, from)
		if err != nil {
			return nil, err
		}
		shards = append(shards, s)
	}
	slices.SortFunc(shards, func(a, b shard) int { return a.from - b.from })
	return shards, nil
}

func parseSlotRange(value any, from string) (shard, error) {
	row, ok := value.([]any)
	if !ok || len(row) < 3 {
		return shard{}, fmt.Errorf("%w: %v where a range of slots belongs", errReply, value)
	}
	first, isFirst := row[0].(int64)
	last, isLast := row[1].(int64)
	master, isMaster := row[2].([]any)
	if !isFirst || !isLast || !isMaster || len(master) < 2 {
		return shard{}, fmt.Errorf("%w: %v where a range of slots belongs", errReply, value)
	}
	port, ok := master[1].(int64)
	if !ok {
		return shard{}, fmt.Errorf("%w: %v where a port belongs", errReply, master[1])
	}
	host := text(master[0])
	if host == "" || host == "?" {
		// The server does not know under which name it is reached: it is the one that
		// answered.
		host, _, _ = net.SplitHostPort(from)
	}
	return shard{from: int(first), to: int(last), address: net.JoinHostPort(host, strconv.FormatInt(port, 10))}, nil
}
