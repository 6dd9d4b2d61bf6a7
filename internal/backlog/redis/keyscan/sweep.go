package keyscan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/node"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// pageSize is about how many keys the server looks at for one answer.
	pageSize = 1000
	// maxOwnScans is how many searches of one type have the server match their patterns, each
	// in a scan of its own, which sends only the keys that match. More share one scan of all
	// keys of the type: then the server does the same work however many they are.
	maxOwnScans = 4
	// maxSteps bounds what matching one pattern may cost: steps for each key that it is
	// matched with, on average.
	maxSteps = 200
)

// errCostlyPattern is a pattern that takes too many steps to match.
var errCostlyPattern = fmt.Errorf("%w: the pattern takes too long to match with these keys, want fewer stars and question marks", backlog.ErrExhausted)

// A target is one search of a sweep and what it has found so far.
type target struct {
	layout.Search
	keys []string
	size int
	// seen is how many keys it was matched with, at which cost.
	seen, steps int
	more        bool
	err         error
}

// ended reports whether nothing more is looked for.
func (q *target) ended() bool { return q.more || q.err != nil }

// add keeps a key. One that SCAN returns twice is kept twice until there are too many.
func (q *target) add(key string) {
	q.keys = append(q.keys, key)
	q.size += sizeOfKey(key)
	if len(q.keys) <= maxKeys {
		return
	}
	q.tidy()
	q.more = len(q.keys) > maxKeys
}

// try keeps a key that matches.
func (q *target) try(key string) {
	fits, steps := globMatch(q.Pattern, key)
	q.seen++
	q.steps += steps
	switch {
	case q.steps > maxSteps*(q.seen+pageSize):
		q.err = errCostlyPattern
	case fits:
		q.add(key)
	}
}

// tidy puts the keys in order, each once.
func (q *target) tidy() {
	slices.Sort(q.keys)
	q.keys = slices.Compact(q.keys)
	q.size = sizeOf(q.keys)
}

// A scan goes through the keys of one type on one server once.
type scan struct {
	kind string
	// targets are what it is for. If there is only one, the server matches.
	targets []*target
	cursor  string
	// count is about how many keys the server looks at for one answer.
	count int
}

// sweep goes through the keys of all servers once for some searches, and settles them.
func (s *Scanner) sweep(ctx context.Context, searches []layout.Search) {
	if len(searches) == 0 {
		return
	}
	targets := make([]*target, len(searches))
	for i, s := range searches {
		targets[i] = &target{Search: s}
	}
	if err := s.sweepAll(ctx, targets); err != nil {
		for _, q := range targets {
			if !q.ended() {
				q.err = err
			}
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, q := range targets {
		q.tidy()
		if q.err != nil {
			s.store(q.Search, nil, false, fmt.Errorf("look for keys that match %q: %w", q.Pattern, q.err))
			continue
		}
		s.store(q.Search, q.keys, q.more, nil)
	}
	s.trim()
}

// sweepAll goes through the keys of all servers. The error is one of all searches that have
// not ended: a server that does not answer, or that does not allow SCAN.
func (s *Scanner) sweepAll(ctx context.Context, targets []*target) (err error) {
	defer backlog.Contain(&err)
	m, err := s.topology.Current(ctx)
	if err != nil {
		return err
	}
	for _, n := range m.Nodes() {
		if err := sweepNode(ctx, n, targets); err != nil {
			return err
		}
	}
	return nil
}

// sweepNode goes through the keys of one server. The scans take turns, page by page, so that
// none waits for another to end.
func sweepNode(ctx context.Context, n *node.Node, targets []*target) error {
	scans := scansOf(targets)
	for len(scans) > 0 {
		left := scans[:0]
		for _, one := range scans {
			begin := time.Now()
			if err := one.page(ctx, n); err != nil {
				return err
			}
			bound(targets)
			if one.ended() {
				continue
			}
			left = append(left, one)
			pause(ctx, time.Since(begin))
		}
		scans = left
	}
	return nil
}

// scansOf returns the scans of one server that some targets take.
func scansOf(targets []*target) []*scan {
	byKind := make(map[string][]*target)
	for _, q := range targets {
		if !q.ended() {
			byKind[q.Type] = append(byKind[q.Type], q)
		}
	}
	var scans []*scan
	for kind, some := range byKind {
		if len(some) > maxOwnScans {
			scans = append(scans, &scan{kind: kind, targets: some, cursor: "0", count: pageSize})
			continue
		}
		for _, q := range some {
			scans = append(scans, &scan{kind: kind, targets: []*target{q}, cursor: "0", count: pageSize})
		}
	}
	return scans
}

// ended reports whether the scan is over, or none of its targets is left.
func (s *scan) ended() bool {
	return s.cursor == "0" || !slices.ContainsFunc(s.targets, func(q *target) bool { return !q.ended() })
}

// page asks for the keys of one answer. The error is one of the whole sweep; what the server
// answers to this scan alone is the error of its targets.
func (s *scan) page(ctx context.Context, from *node.Node) error {
	answer, err := from.Scan(ctx, s.command())
	for errors.Is(err, conn.ErrHostileReply) && s.count > 1 && ctx.Err() == nil {
		// The names of so many keys are more than an answer may have: a client of the server
		// may have made long ones, and those of others still have to be found.
		s.count = max(1, s.count/10)
		answer, err = from.Scan(ctx, s.command())
	}
	if err != nil {
		return err
	}
	keys, next, err := parsePage(answer)
	switch {
	case err != nil && errors.Is(resp.Reason(err), backlog.ErrDenied):
		// A server that does not allow this SCAN allows none.
		return err
	case err != nil:
		s.cursor = "0"
		for _, q := range s.targets {
			q.err = err
		}
		return nil
	}
	s.cursor = next
	for _, key := range keys {
		s.take(resp.Text(key))
	}
	return nil
}

// command asks for the next page.
func (s *scan) command() resp.Command {
	args := []any{"SCAN", s.cursor, "COUNT", s.count, "TYPE", s.kind}
	if len(s.targets) == 1 {
		args = append(args, "MATCH", s.targets[0].Pattern)
	}
	return resp.Command{Args: args}
}

// take hands a key to the targets that it matches.
func (s *scan) take(key string) {
	for _, q := range s.targets {
		switch {
		case q.ended():
		case len(s.targets) == 1:
			q.add(key)
		default:
			q.try(key)
		}
	}
}

// parsePage returns the keys of an answer to SCAN, and where the next one begins; "0" at the
// end.
func parsePage(answer resp.Reply) (keys []any, next string, err error) {
	parts, err := answer.List()
	if err != nil {
		return nil, "", err
	}
	if len(parts) != 2 {
		return nil, "", fmt.Errorf("%w: %d parts in an answer to SCAN", resp.ErrReply, len(parts))
	}
	keys, ok := parts[1].([]any)
	next = resp.Text(parts[0])
	if _, err := strconv.ParseUint(next, 10, 64); err != nil || !ok {
		return nil, "", fmt.Errorf("%w: an answer to SCAN without a cursor and keys", resp.ErrReply)
	}
	return keys, next, nil
}

// bound keeps what a sweep has found so far within maxBytes. It leaves room, so that it
// has to do something only now and then.
func bound(targets []*target) {
	total := 0
	for _, q := range targets {
		total += q.size
	}
	if total <= maxBytes {
		return
	}
	sizes := make([]int, len(targets))
	for i, q := range targets {
		sizes[i] = q.size
	}
	most := level(sizes, maxBytes*7/8)
	for _, q := range targets {
		if kept := cut(q.keys, most); len(kept) < len(q.keys) {
			q.keys, q.more = slices.Clone(kept), true
			q.size = sizeOf(q.keys)
		}
	}
}
