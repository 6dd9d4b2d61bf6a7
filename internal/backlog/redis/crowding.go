package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A server remembers at most tracking-table-max-keys keys that clients read. Beyond it,
// each read evicts another key, whose change it then reports although nothing changed. A
// queue that is read again because of that evicts the next, and so on without an end.
// Where the table is too small for the idle queues, client tracking costs far more than to
// read them now and then.

const (
	// crowdedWakes is from how many fruitless wake-ups within a second on the cause is
	// looked for.
	crowdedWakes = 50
	// crowdedRest is how long that is not done again after another cause was found.
	crowdedRest = 10 * time.Second
	// crowdedRead is how much time there is for each key that is read while the table is
	// too small: 100 keys a second, however many there are.
	crowdedRead = 10 * time.Millisecond
	// crowdedMost bounds how seldom they are read.
	crowdedMost = 10 * time.Second
	// tableSetting is the setting of a server that bounds its table.
	tableSetting = "tracking-table-max-keys"
)

// crowdedPoll returns how often idle queues of so many keys are read, at most every idlePoll.
func crowdedPoll(idlePoll time.Duration, keys int) time.Duration {
	return max(idlePoll, min(time.Duration(keys)*crowdedRead, crowdedMost))
}

// crowding counts fruitless wake-ups by the second. It belongs to the listener.
type crowding struct {
	begin time.Time
	count int
	// rest is until when nothing is suspected.
	rest time.Time
	// found is what was found; "" if the table was large enough when it was last tried.
	found string
	// until is when to try again.
	until time.Time
}

// add counts n more fruitless wake-ups, and reports whether the cause is to be looked for.
func (c *crowding) add(n int, now time.Time) bool {
	if now.Sub(c.begin) > time.Second {
		c.begin, c.count = now, 0
	}
	c.count += n
	if c.count < crowdedWakes || now.Before(c.rest) {
		return false
	}
	c.count, c.rest = 0, now.Add(crowdedRest)
	return true
}

// A table is what a server says of the keys that it tracks.
type table struct {
	// keys is how many there are, and most how many there may be, 0 without a bound; -1 if
	// the server does not say so.
	keys, most int64
}

// isFull reports whether the table evicts keys. That is a guess where the server
// does not say how large it may be, it is full if the keys that are watched are not all
// in it. watched is not known to be of this server alone in a cluster; it is 0 there.
func (t table) isFull(watched int64) bool {
	switch {
	case t.most == 0:
		return false
	case t.most > 0 && t.keys >= 0:
		return t.keys >= t.most-t.most/10
	default:
		return t.keys < 0 || watched == 0 || t.keys < watched
	}
}

// fits reports whether the keys that are watched have room. It is true if that is not known.
func (t table) fits(watched int64) bool { return t.most <= 0 || watched <= t.most-t.most/10 }

func (t table) String() string {
	text := "too many invalidations of keys that did not change"
	if t.most < 0 {
		return text + ", so the tracking table of the server seems to be full; raise its " + tableSetting
	}
	return fmt.Sprintf("%s, because the tracking table of the server is full; raise its %s, which is %d", text, tableSetting, t.most)
}

// table asks the server.
func (n *node) table(ctx context.Context) (table, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.dialTimeout+n.cfg.answerTimeout)
	defer cancel()
	t := table{keys: -1, most: -1}
	replies, err := n.do(ctx, []resp.Command{{Args: []any{"INFO", "stats"}}, {Args: []any{"CONFIG", "GET", tableSetting}}}, nil)
	if err != nil {
		return t, err
	}
	if keys, err := strconv.ParseInt(resp.InfoField(resp.Text(replies[0].Value), "tracking_total_keys"), 10, 64); err == nil {
		t.keys = keys
	}
	if list, err := replies[1].List(); err == nil && len(list) > 1 {
		if most, err := strconv.ParseInt(resp.Text(list[1]), 10, 64); err == nil {
			t.most = most
		}
	}
	return t, nil
}

// watched is how many keys are read from the server; 0 if that is not known.
func (n *node) watched() int64 {
	if n.cfg.mode == modeCluster {
		return 0
	}
	return int64(n.watch.size())
}

// suspect looks for the cause of wake-ups without fruit. It returns a refusal if that is
// a table that is too small.
func (n *node) suspect(ctx context.Context) error {
	t, err := n.table(ctx)
	if err == nil && t.isFull(n.watched()) {
		n.crowding.found, n.crowding.until = "client tracking: "+t.String(), time.Now().Add(n.cfg.refusedRetry)
		n.setCrowded(true)
		return refusal{n.crowding.found}
	}
	// Other changes, which leave the counts alone, or an outage, which shows elsewhere.
	return nil
}

// leavesRoom returns a refusal while the table of the server is known to be too small.
func (n *node) leavesRoom(ctx context.Context) error {
	if n.crowding.found == "" {
		return nil
	}
	if time.Now().Before(n.crowding.until) {
		return refusal{n.crowding.found}
	}
	t, err := n.table(ctx)
	if err != nil {
		return err
	}
	if !t.fits(n.watched()) {
		n.crowding.until = time.Now().Add(n.cfg.refusedRetry)
		return refusal{n.crowding.found}
	}
	n.crowding.found, n.crowding.rest = "", time.Time{}
	return nil
}

// setCrowded notes whether idle queues are read because the table of the server is full.
func (n *node) setCrowded(crowded bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.crowded = crowded
}
