package native

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A streamID is the id of an entry of a stream, such as 1700000000000-0.
type streamID struct{ ms, seq uint64 }

func parseStreamID(value any) (streamID, error) {
	ms, seq, found := strings.Cut(resp.Text(value), "-")
	m, err := strconv.ParseUint(ms, 10, 64)
	if err != nil || !found {
		return streamID{}, fmt.Errorf("%w: %v where the id of an entry belongs", resp.ErrReply, value)
	}
	s, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return streamID{}, fmt.Errorf("%w: %v where the id of an entry belongs", resp.ErrReply, value)
	}
	return streamID{m, s}, nil
}

// next returns the smallest id after id. Redis before 6.2 has no ranges that leave out
// their first id.
func (id streamID) next() streamID {
	if id.seq == math.MaxUint64 {
		return streamID{ms: id.ms + 1}
	}
	return streamID{ms: id.ms, seq: id.seq + 1}
}

func (id streamID) String() string { return fmt.Sprintf("%d-%d", id.ms, id.seq) }

func (id streamID) compare(other streamID) int {
	return cmp.Or(cmp.Compare(id.ms, other.ms), cmp.Compare(id.seq, other.seq))
}

// mark returns a number that differs for any two ids which a server has given.
func (id streamID) mark() backlog.Count {
	return backlog.Exactly(int64((id.ms<<20 + id.seq) & math.MaxInt64))
}

// time returns when the entry was added. It is false for an id that a producer
// chose by itself and that is no plausible time.
func (id streamID) time(now time.Time) (time.Time, bool) {
	const year2000 = 946684800000
	if id.ms < year2000 || id.ms > uint64(now.Add(24*time.Hour).UnixMilli()) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(id.ms)), true //nolint:gosec // bounded above
}
