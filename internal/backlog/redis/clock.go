package redis

import (
	"math"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A clock says what a score tells: how many of its units are one millisecond. Units
// below a millisecond tell members of the same millisecond apart.
type clock float64

const (
	clockSeconds      clock = 1e-3
	clockMilliseconds clock = 1
)

// due returns the highest score that is due at the moment now.
func (k clock) due(now time.Time) string {
	if k > 1 {
		// All members of this millisecond are due.
		return strconv.FormatFloat(float64(now.UnixMilli())*float64(k)+float64(k)-1, 'f', -1, 64)
	}
	return strconv.FormatFloat(float64(now.UnixMicro())/1000*float64(k), 'f', -1, 64)
}

// time returns the moment that a score tells; zero for one outside of any time that
// matters, such as infinity.
func (k clock) time(score float64) time.Time {
	ms := score / float64(k)
	if k > 1 {
		ms = math.Floor(ms)
	}
	// Up to the year 9999.
	if math.IsNaN(ms) || ms <= 0 || ms > 253402300799e3 {
		return time.Time{}
	}
	// Rounded up, so that the member is due when the moment has come.
	return time.UnixMicro(int64(math.Ceil(ms * 1000)))
}

// delayed appends the commands that tell of a sorted set of future work: how much is
// due, since when the first has been due, and when the next will be. They are taken
// with takeDelayed.
func delayed(dst []resp.Command, key string, scores clock, now time.Time) []resp.Command {
	limit := scores.due(now)
	return append(dst,
		resp.Command{Key: key, KeyType: 'z', Args: []any{"ZCOUNT", key, "-inf", limit}},
		resp.Command{Key: key, KeyType: 'z', Args: []any{"ZRANGE", key, 0, 0, "WITHSCORES"}},
		resp.Command{Key: key, KeyType: 'z', Args: byScore(key, "("+limit, "+inf", 1, true)},
	)
}

// byScore returns a command that asks for the first members, at most limit of them, whose
// scores are between low and high, with their scores or without. Since Redis 6.2 its name
// is ZRANGE with BYSCORE; the older name is known to every version of Redis and Valkey.
func byScore(key, low, high string, limit int, withScores bool) []any {
	args := []any{"ZRANGEBYSCORE", key, low, high}
	if withScores {
		args = append(args, "WITHSCORES")
	}
	return append(args, "LIMIT", 0, limit)
}

// firstTime takes a reply WITHSCORES of at most one member, and returns the time that
// its score tells on the given clock; zero if there is none.
func firstTime(c *resp.Decoder, of clock) time.Time {
	value, found := c.FirstScore()
	if !found {
		return time.Time{}
	}
	return of.time(value)
}

// A schedule is what is known of a sorted set of future work.
type schedule struct {
	due int64
	// since is when the first that is due became so; zero if none is or nobody can tell.
	since time.Time
	// next is when the next one falls due; zero if there is none.
	next time.Time
}

// takeDelayed takes the replies to the commands of delayed.
func takeDelayed(c *resp.Decoder, scores clock) schedule {
	s := schedule{due: c.Count(), since: firstTime(c, scores), next: firstTime(c, scores)}
	if s.due == 0 {
		s.since = time.Time{}
	}
	return s
}

// and returns what is known of two sets together.
func (s schedule) and(other schedule) schedule {
	return schedule{due: s.due + other.due, since: earlier(s.since, other.since), next: earlier(s.next, other.next)}
}

// earlier returns the earlier of two moments, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// age returns the age of work that is due: exact if nothing else waits, else what
// waits may be older.
func (s schedule) age(ready int64) backlog.Age {
	switch {
	case s.since.IsZero():
		return backlog.Age{}
	case ready == 0:
		return backlog.Age{Since: s.since, Kind: backlog.AgeExact}
	default:
		return backlog.Age{Since: s.since, Kind: backlog.AgeLowerBound}
	}
}
