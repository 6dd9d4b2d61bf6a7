package node

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A server remembers at most tracking-table-max-keys keys that clients read. Beyond it,
// each read evicts another key, whose change it then reports although nothing changed. A
// queue that is read again because of that evicts the next, and so on without an end.
// Where the table is too small for the idle queues, client tracking costs far more than to
// read them now and then.

const (
	// suspiciousWakes is from how many fruitless wake-ups within a second on the cause is
	// searched.
	suspiciousWakes = 50
	// suspicionPause is how long that is not done again after another cause was found.
	suspicionPause = 10 * time.Second
	// evictedRead is how much time there is for each key that is read while the table is
	// too small: 100 keys a second, however many there are.
	evictedRead = 10 * time.Millisecond
	// maxEvictedPoll bounds how seldom they are read.
	maxEvictedPoll = 10 * time.Second
	// tableSetting is the setting of a server that bounds its table.
	tableSetting = "tracking-table-max-keys"
)

// evictedPoll returns how often idle queues of so many keys are read, at most every idlePoll.
func evictedPoll(idlePoll time.Duration, keys int) time.Duration {
	return max(idlePoll, min(time.Duration(keys)*evictedRead, maxEvictedPoll))
}

// evictions counts fruitless wake-ups by the second. It belongs to the listener.
type evictions struct {
	begin time.Time
	count int
	// pause is until when nothing is suspected.
	pause time.Time
	// found is what was found; "" if the table was large enough when it was last tried.
	found string
	// retry is when to try again.
	retry time.Time
}

// add counts n more fruitless wake-ups, and reports whether the cause is to be searched.
func (e *evictions) add(n int, now time.Time) bool {
	if now.Sub(e.begin) > time.Second {
		e.begin, e.count = now, 0
	}
	e.count += n
	if e.count < suspiciousWakes || now.Before(e.pause) {
		return false
	}
	e.count, e.pause = 0, now.Add(suspicionPause)
	return true
}

// A trackingTable is what a server says of the keys that it tracks.
type trackingTable struct {
	// keys is how many there are, and most how many there may be, 0 without a bound; -1 if
	// the server does not say so.
	keys, most int64
}

// isFull reports whether the table evicts keys. Where the server does not say how large it may
// be that is a guess: it is full if not all keys that are tracked are in it. Tracked is not
// known to be of this server alone in a cluster; it is 0 there.
func (t trackingTable) isFull(tracked int64) bool {
	switch {
	case t.most == 0:
		return false
	case t.most > 0 && t.keys >= 0:
		return t.keys >= t.most-t.most/10
	default:
		return t.keys < 0 || tracked == 0 || t.keys < tracked
	}
}

// fits reports whether the keys that are tracked have room. It is true if that is not known.
func (t trackingTable) fits(tracked int64) bool { return t.most <= 0 || tracked <= t.most-t.most/10 }

func (t trackingTable) String() string {
	text := "too many invalidations of keys that did not change"
	if t.most < 0 {
		return text + ", so the tracking table of the server seems to be full; raise its " + tableSetting
	}
	return fmt.Sprintf("%s, because the tracking table of the server is full; raise its %s, which is %d", text, tableSetting, t.most)
}

// trackingTable asks the server.
func (n *Node) trackingTable(ctx context.Context) (trackingTable, error) {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.DialTimeout+n.cfg.AnswerTimeout)
	defer cancel()
	t := trackingTable{keys: -1, most: -1}
	replies, err := n.Do(ctx, []resp.Command{{Args: []any{"INFO", "stats"}}, {Args: []any{"CONFIG", "GET", tableSetting}}}, nil)
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

// trackedKeys is how many keys are read from the server; 0 if that is not known.
func (n *Node) trackedKeys() int64 {
	if n.cfg.Mode == conn.ModeCluster {
		return 0
	}
	return int64(n.tracker.Len())
}

// suspectEvictions searches the cause of fruitless wake-ups. It returns an unsupportedError if
// that is a table that is too small.
func (n *Node) suspectEvictions(ctx context.Context) error {
	t, err := n.trackingTable(ctx)
	if err == nil && t.isFull(n.trackedKeys()) {
		n.evictions.found, n.evictions.retry = "client tracking: "+t.String(), time.Now().Add(n.cfg.UnsupportedRetry)
		n.setTableFull(true)
		return unsupportedError{n.evictions.found}
	}
	// Other changes, which leave the counts alone, or an outage, which shows elsewhere.
	return nil
}

// checkRoom returns an unsupportedError while the table of the server is known to be too small.
func (n *Node) checkRoom(ctx context.Context) error {
	if n.evictions.found == "" {
		return nil
	}
	if time.Now().Before(n.evictions.retry) {
		return unsupportedError{n.evictions.found}
	}
	t, err := n.trackingTable(ctx)
	if err != nil {
		return err
	}
	if !t.fits(n.trackedKeys()) {
		n.evictions.retry = time.Now().Add(n.cfg.UnsupportedRetry)
		return unsupportedError{n.evictions.found}
	}
	n.evictions.found, n.evictions.pause = "", time.Time{}
	return nil
}

// setTableFull notes whether idle queues are read because the table of the server is full.
func (n *Node) setTableFull(full bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tableFull = full
}
