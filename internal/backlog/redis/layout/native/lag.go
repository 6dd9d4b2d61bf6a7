package native

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// groupFacts is what a server reports about a stream and one of its consumer groups.
type groupFacts struct {
	// length is the number of entries in the stream.
	length int64
	// lastDelivered is the id up to which the group has been served.
	lastDelivered streamID
	// lag is the server's own count of what is left; unknown if it does not report it.
	lag backlog.Count
	// lagTrust is how far lag can be trusted.
	lagTrust resp.LagSupport
	// entriesRead is how many entries of all that were ever added the group was
	// served, as the server estimates it.
	entriesRead backlog.Count

	// edges says that the following, which only XINFO STREAM reports, are known.
	edges bool
	// first and last are the ids of the entries at the ends of the stream.
	first, last streamID
	// entriesAdded is how many entries were ever added.
	entriesAdded backlog.Count
}

// added is how many entries were ever added: what the stream says, or what the group
// was served and what is left.
func (f groupFacts) added() backlog.Count {
	if f.entriesAdded.Known || !f.lag.Known || !f.entriesRead.Known {
		return f.entriesAdded
	}
	return backlog.Exactly(f.entriesRead.N + f.lag.N)
}

// undelivered returns how many entries were never delivered to the group, and how
// good that number is. It is false if that depends on the edges.
//
// The server's own lag is not enough. It is null after a deletion ahead of the
// group and for a group that was set to an arbitrary id, and servers before the
// ones of lagExact give more than there is after certain deletions, up to a lag
// that stays above zero for good. What the ends of the stream say is always true:
//
//	stream 5 6 8 9, served up to 4 -> 4 undelivered, whatever was deleted
//	stream 5 6 8 9, served up to 9 -> 0 undelivered, whatever the lag says
//	stream 5 6 8 9, served up to 6 -> at least 1 (the 9) and at most 3 (not the 5)
func (f groupFacts) undelivered() (n int64, quality backlog.Quality, ok bool) {
	if f.length == 0 {
		return 0, backlog.Exact, true
	}
	if !f.edges {
		if f.lag.Known && f.lagTrust == resp.LagExact {
			return min(f.lag.N, f.length), backlog.Exact, true
		}
		return 0, backlog.Exact, false
	}
	switch {
	case f.lastDelivered.compare(f.last) >= 0:
		return 0, backlog.Exact, true
	case f.lastDelivered.compare(f.first) < 0:
		return f.length, backlog.Exact, true
	case f.lag.Known && f.lagTrust == resp.LagExact:
		return min(f.lag.N, f.length), backlog.Exact, true
	}
	most := f.length - 1
	if f.lag.Known {
		most = min(most, f.lag.N)
	} else if f.entriesAdded.Known && f.entriesRead.Known {
		most = min(most, f.entriesAdded.N-f.entriesRead.N)
	}
	most = max(most, 1)
	if f.length == 2 {
		return most, backlog.Exact, true
	}
	return most, backlog.UpperBound, true
}
