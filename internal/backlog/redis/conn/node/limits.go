package node

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// Settings and limits of a server that endanger queues or connections are asked for next to a read or a
// confirmation, as the checks are, so they cost no round trip. They change seldom.
const (
	// limitsInterval is the time between two questions.
	limitsInterval = time.Minute
	// limitsRetry is the time after a question that the connection did not survive: what hangs up at
	// it may be a proxy.
	limitsRetry = 10 * time.Minute
	// manyTracked is from how many tracked keys on the bound of the table is asked for, which is a million
	// by default. Below it a user without CONFIG GET, which the scaler needs for nothing else while it
	// tracks, leaves no refusal in the ACL LOG. A smaller table that is full shows by its evictions.
	manyTracked = 100_000
)

// limits are what a server says of its memory, its clients and the keys that it tracks. What it does not
// say is unknown: -1, or an empty text.
type limits struct {
	// policy is what the server does when its memory is full, and memory how much there is, in bytes; 0 is
	// no limit.
	policy string
	memory int64
	// clients is the number of connections, and most how many there may be.
	clients, most int64
	table         trackingTable
}

func unknownLimits() *limits {
	return &limits{memory: -1, clients: -1, most: -1, table: trackingTable{keys: -1, most: -1}}
}

// isNear reports whether a number is a tenth below a limit, or above that.
func isNear(n, limit int64) bool { return n >= 0 && limit > 0 && n >= limit-limit/10 }

// risks returns what endangers queues or connections.
func (l *limits) risks() []backlog.Risk {
	var all []backlog.Risk
	switch l.policy {
	case "noeviction":
	case "":
		all = append(all, backlog.Risk{Kind: backlog.RiskUnknown, Latent: true, Text: "the server has not said its maxmemory-policy (INFO memory), so it is unknown whether it deletes queues"})
	default:
		what, full := "queues", "when its memory is full"
		if strings.HasPrefix(l.policy, "volatile-") {
			what = "keys that have an expiry, such as the locks of jobs,"
		}
		risk := backlog.Risk{Kind: backlog.RiskEviction, Latent: l.memory == 0}
		switch {
		case l.memory == 0:
			full = "once it has a maxmemory, which is 0, and that is full"
		case l.memory > 0:
			full += fmt.Sprintf(", at %d bytes (maxmemory)", l.memory)
		}
		risk.Text = fmt.Sprintf("maxmemory-policy is %s, so the server deletes %s %s", l.policy, what, full)
		all = append(all, risk)
	}
	if isNear(l.table.keys, l.table.most) {
		all = append(all, backlog.Risk{Kind: backlog.RiskTracking, Text: fmt.Sprintf("the server tracks %d keys of at most %d (%s); beyond that it reports changes of queues that did not change", l.table.keys, l.table.most, tableSetting)})
	}
	if isNear(l.clients, l.most) {
		all = append(all, backlog.Risk{Kind: backlog.RiskClients, Text: fmt.Sprintf("%d clients are connected of at most %d (maxclients); beyond that the server takes no connections", l.clients, l.most)})
	}
	return all
}

// limitChecks returns the questions for the limits of the server, whose answers go to l. tracked is how many
// keys the server tracked when it was last asked.
func (s *session) limitChecks(l *limits, tracked int64) []check {
	all := []check{
		{checkMemory, []any{"INFO", "memory"}, func(r resp.Reply) error {
			info := resp.Text(r.Value)
			l.policy, l.memory = policyOf(resp.InfoField(info, "maxmemory_policy")), numberOf(resp.InfoField(info, "maxmemory"))
			return nil
		}},
		{checkClients, []any{"INFO", "clients"}, func(r resp.Reply) error {
			info := resp.Text(r.Value)
			l.clients, l.most = numberOf(resp.InfoField(info, "connected_clients")), numberOf(resp.InfoField(info, "maxclients"))
			return nil
		}},
	}
	if s.tracked != nil && s.tracked.mode == conn.WakeTracking {
		all = append(all, check{checkTracked, []any{"INFO", "stats"}, func(r resp.Reply) error {
			l.table.keys = numberOf(resp.InfoField(resp.Text(r.Value), "tracking_total_keys"))
			return nil
		}})
		if tracked >= manyTracked {
			all = append(all, check{checkTable, []any{"CONFIG", "GET", tableSetting}, func(r resp.Reply) error {
				if list, err := r.List(); err == nil && len(list) > 1 {
					l.table.most = numberOf(resp.Text(list[1]))
				}
				return nil
			}})
		}
	}
	return s.answered(all)
}

// policyOf returns the name of a policy; empty for what is none, because a proxy may answer anything.
func policyOf(text string) string {
	for _, known := range []string{"noeviction", "allkeys-", "volatile-"} {
		if strings.HasPrefix(text, known) && len(text) < 30 {
			return text
		}
	}
	return ""
}

// numberOf returns a number of a reply; -1 without one.
func numberOf(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// questions returns the checks of a session, and notes that the limits are asked for if l is not nil. swaps
// is that of session.checks. The caller holds semaphore.
func (n *Node) questions(s *session, sub *subscriber, swaps bool, now time.Time) (checks []check, l *limits) {
	checks = s.checks(n.cfg, sub, swaps)
	if now.Before(n.nextLimits) {
		return checks, nil
	}
	n.nextLimits = now.Add(limitsRetry)
	l = unknownLimits()
	return append(checks, s.limitChecks(l, n.tracked)...), l
}

// setLimits takes limits that the server has answered; nil if it was not asked. The caller holds
// semaphore.
func (n *Node) setLimits(l *limits, now time.Time) {
	if l == nil {
		return
	}
	n.nextLimits = now.Add(limitsInterval)
	if l.table.keys >= manyTracked && n.tracked < manyTracked {
		n.nextLimits = now
	}
	n.tracked = l.table.keys
	risks := l.risks()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.risks = risks
}
