package native

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// maxIdle is how many entries that are idle are looked at.
const maxIdle = 1000

// StreamOrphans says which work of a stream can be orphaned. Whether a consumer will claim
// what another one was served depends on the application alone, so it is not known before.
const StreamOrphans = "entries that were served and that no consumer has claimed or acknowledged for that long, at most 1,000 of them; it is looked for only if this is set, which costs the server time for each unacknowledged entry"

// leaveIdle takes the reply of XPENDING with IDLE, and leaves the entries in it out of
// what is pending.
func (g *groupState) leaveIdle(r resp.Reply) {
	entries, err := r.List()
	if err != nil {
		// Without a group there is nothing pending either.
		if !resp.HasCode(err, "NOGROUP") {
			g.idleRefused = r.Denial("XPENDING with IDLE", 6, 2)
		}
		return
	}
	g.idle = min(int64(len(entries)), g.pending)
	g.pending -= g.idle
	g.moreIdle = g.idle >= maxIdle && g.pending > 0
	if len(entries) == 0 {
		return
	}
	if first, err := entryID(entries[0]); err == nil && first == g.oldestPending {
		// Which is the oldest of the others is not known.
		g.oldestPending = streamID{}
	}
}

// markIdle completes the reading of a group.
func (g *groupState) markIdle(r *backlog.Reading, o *layout.Orphans, now time.Time) {
	if g.idleRefused != "" {
		r.AddWarning(g.idleRefused + ", so orphanedAfter has no effect")
		return
	}
	o.Add(g.idle, now.Add(-o.After), now)
	o.Mark(r, "work that was served to a consumer is neither acknowledged nor claimed by another")
	if g.moreIdle {
		r.Quality = max(r.Quality, backlog.UpperBound)
	}
}
