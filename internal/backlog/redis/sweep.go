package redis

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
	// findPage is about how many keys the server looks at for one answer.
	findPage = 1000
	// findAlone is how many searches of one type have the server match their patterns, each
	// in a scan of its own, which sends only the keys that match. More share one scan of all
	// keys of the type: then the server does the same work however many they are.
	findAlone = 4
	// findSteps bounds what matching one pattern may cost: steps for each key that it is
	// matched with, on average.
	findSteps = 200
)

// errCostlyPattern is a pattern that takes too many steps to match.
var errCostlyPattern = fmt.Errorf("%w: the pattern takes too long to match with these keys, want fewer stars and question marks", backlog.ErrExhausted)

// A quest is one search of a sweep and what it has found so far.
type quest struct {
	layout.Search
	keys []string
	size int
	// seen is how many keys it was matched with, at which cost.
	seen, steps int
	more        bool
	err         error
}

// ended reports whether nothing more is looked for.
func (q *quest) ended() bool { return q.more || q.err != nil }

// add keeps a key. One that SCAN returns twice is kept twice until there are too many.
func (q *quest) add(key string) {
	q.keys = append(q.keys, key)
	q.size += sizeOf1(key)
	if len(q.keys) <= findMost {
		return
	}
	q.tidy()
	q.more = len(q.keys) > findMost
}

// try keeps a key that matches.
func (q *quest) try(key string) {
	fits, steps := globMatch(q.Pattern, key)
	q.seen++
	q.steps += steps
	switch {
	case q.steps > findSteps*(q.seen+findPage):
		q.err = errCostlyPattern
	case fits:
		q.add(key)
	}
}

// tidy puts the keys in order, each once.
func (q *quest) tidy() {
	slices.Sort(q.keys)
	q.keys = slices.Compact(q.keys)
	q.size = sizeOf(q.keys)
}

// A scan goes through the keys of one type on one server once.
type scan struct {
	kind string
	// quests are what it is for. If there is only one, the server matches.
	quests []*quest
	cursor string
	// count is about how many keys the server looks at for one answer.
	count int
}

// sweep goes through the keys of all servers once for some searches, and settles them.
func (f *finder) sweep(ctx context.Context, searches []layout.Search) {
	if len(searches) == 0 {
		return
	}
	quests := make([]*quest, len(searches))
	for i, s := range searches {
		quests[i] = &quest{Search: s}
	}
	if err := f.sweepAll(ctx, quests); err != nil {
		for _, q := range quests {
			if !q.ended() {
				q.err = err
			}
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, q := range quests {
		q.tidy()
		if q.err != nil {
			f.settle(q.Search, nil, false, fmt.Errorf("look for keys that match %q: %w", q.Pattern, q.err))
			continue
		}
		f.settle(q.Search, q.keys, q.more, nil)
	}
	f.trim()
}

// sweepAll goes through the keys of all servers. The error is one of all searches that have
// not ended: a server that does not answer, or that does not allow SCAN.
func (f *finder) sweepAll(ctx context.Context, quests []*quest) (err error) {
	defer backlog.Contain(&err)
	m, err := f.topology.Current(ctx)
	if err != nil {
		return err
	}
	for _, n := range m.Nodes() {
		if err := sweepNode(ctx, n, quests); err != nil {
			return err
		}
	}
	return nil
}

// sweepNode goes through the keys of one server. The scans take turns, page by page, so that
// none waits for another to end.
func sweepNode(ctx context.Context, n *node.Node, quests []*quest) error {
	scans := scansOf(quests)
	for len(scans) > 0 {
		left := scans[:0]
		for _, one := range scans {
			begin := time.Now()
			if err := one.page(ctx, n); err != nil {
				return err
			}
			contain(quests)
			if one.ended() {
				continue
			}
			left = append(left, one)
			rest(ctx, time.Since(begin))
		}
		scans = left
	}
	return nil
}

// scansOf returns the scans of one server that some quests take.
func scansOf(quests []*quest) []*scan {
	byKind := make(map[string][]*quest)
	for _, q := range quests {
		if !q.ended() {
			byKind[q.Type] = append(byKind[q.Type], q)
		}
	}
	var scans []*scan
	for kind, some := range byKind {
		if len(some) > findAlone {
			scans = append(scans, &scan{kind: kind, quests: some, cursor: "0", count: findPage})
			continue
		}
		for _, q := range some {
			scans = append(scans, &scan{kind: kind, quests: []*quest{q}, cursor: "0", count: findPage})
		}
	}
	return scans
}

// ended reports whether the scan is over, or none of its quests is left.
func (s *scan) ended() bool {
	return s.cursor == "0" || !slices.ContainsFunc(s.quests, func(q *quest) bool { return !q.ended() })
}

// page asks for the keys of one answer. The error is one of the whole sweep; what the server
// answers to this scan alone is the error of its quests.
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
		for _, q := range s.quests {
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
	if len(s.quests) == 1 {
		args = append(args, "MATCH", s.quests[0].Pattern)
	}
	return resp.Command{Args: args}
}

// take hands a key to the quests that it matches.
func (s *scan) take(key string) {
	for _, q := range s.quests {
		switch {
		case q.ended():
		case len(s.quests) == 1:
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

// contain keeps what a sweep has found so far within findBytes. It leaves room, so that it
// has to do something only now and then.
func contain(quests []*quest) {
	total := 0
	for _, q := range quests {
		total += q.size
	}
	if total <= findBytes {
		return
	}
	sizes := make([]int, len(quests))
	for i, q := range quests {
		sizes[i] = q.size
	}
	most := level(sizes, findBytes*7/8)
	for _, q := range quests {
		if kept := cut(q.keys, most); len(kept) < len(q.keys) {
			q.keys, q.more = slices.Clone(kept), true
			q.size = sizeOf(q.keys)
		}
	}
}
