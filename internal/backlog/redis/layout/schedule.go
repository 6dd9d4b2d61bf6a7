package layout

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// ScheduleCommands appends the commands that read a sorted set of future work: how much is
// due, since when the first has been due, and when the next will be. Their replies are taken
// with ReadSchedule.
func ScheduleCommands(dst []resp.Command, key string, scores Clock, now time.Time) []resp.Command {
	limit := scores.Due(now)
	return append(dst,
		resp.Command{Key: key, KeyType: 'z', Args: []any{"ZCOUNT", key, "-inf", limit}},
		resp.Command{Key: key, KeyType: 'z', Args: []any{"ZRANGE", key, 0, 0, "WITHSCORES"}},
		resp.Command{Key: key, KeyType: 'z', Args: ByScore(key, "("+limit, "+inf", 1, true)},
	)
}

// ByScore returns a command that asks for the first members, at most limit of them, whose
// scores are between low and high, with their scores or without. Since Redis 6.2 its name
// is ZRANGE with BYSCORE; the older name is known to every version of Redis and Valkey.
func ByScore(key, low, high string, limit int, withScores bool) []any {
	args := []any{"ZRANGEBYSCORE", key, low, high}
	if withScores {
		args = append(args, "WITHSCORES")
	}
	return append(args, "LIMIT", 0, limit)
}

// FirstTime takes a reply WITHSCORES of at most one member, and returns the time that
// its score stands for on the given clock; zero if there is none.
func FirstTime(c *resp.Decoder, of Clock) time.Time {
	value, found := c.FirstScore()
	if !found {
		return time.Time{}
	}
	return of.Time(value)
}

// A Schedule is what is known of a sorted set of future work.
type Schedule struct {
	Due int64
	// Since is when the first that is due became so; zero if none is or it is not known.
	Since time.Time
	// Next is when the next one falls due; zero if there is none.
	Next time.Time
}

// ReadSchedule takes the replies to the commands of delayed.
func ReadSchedule(c *resp.Decoder, scores Clock) Schedule {
	s := Schedule{Due: c.Count(), Since: FirstTime(c, scores), Next: FirstTime(c, scores)}
	if s.Due == 0 {
		s.Since = time.Time{}
	}
	return s
}

// Plus returns what is known of two sets together.
func (s Schedule) Plus(other Schedule) Schedule {
	return Schedule{Due: s.Due + other.Due, Since: Earlier(s.Since, other.Since), Next: Earlier(s.Next, other.Next)}
}

// Earlier returns the earlier of two moments. The zero time is none.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Age returns the age of work that is due: exact if nothing else waits, else what
// waits may be older.
func (s Schedule) Age(ready int64) backlog.Age {
	switch {
	case s.Since.IsZero():
		return backlog.Age{}
	case ready == 0:
		return backlog.Age{Since: s.Since, Kind: backlog.AgeExact}
	default:
		return backlog.Age{Since: s.Since, Kind: backlog.AgeLowerBound}
	}
}
