package redis

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// counts takes the replies of a step one by one, in the order of its commands. It
// keeps the first error: what it returns after one means nothing, so a step looks at
// err before it makes a reading.
type counts struct {
	replies []reply
	err     error
}

// take returns the next reply.
func (c *counts) take() reply {
	if len(c.replies) == 0 {
		c.fault(fmt.Errorf("%w: none where one belongs", errReply))
		return reply{}
	}
	next := c.replies[0]
	c.replies = c.replies[1:]
	return next
}

// fault keeps err if it is the first one.
func (c *counts) fault(err error) {
	if c.err == nil {
		c.err = err
	}
}

// number takes a reply that is a number and not negative.
func (c *counts) number() int64 {
	n, err := c.take().count()
	if err != nil {
		c.fault(err)
	}
	return n
}

// text takes a reply that is a text, or nil, which is not found.
func (c *counts) text() (value string, found bool) {
	r := c.take()
	if errors.Is(r.err, redis.Nil) {
		return "", false
	}
	if r.err != nil {
		c.fault(r.err)
		return "", false
	}
	value, found = r.value.(string)
	if !found && r.value != nil {
		c.fault(fmt.Errorf("%w: %T where a text belongs", errReply, r.value))
	}
	return value, found
}

// texts takes a reply that is an array of n texts, or of any number of them if n is
// negative. A nil among them is "".
func (c *counts) texts(n int) []string {
	values, err := c.take().list()
	if err == nil && n >= 0 && len(values) != n {
		err = fmt.Errorf("%w: %d values where %d belong", errReply, len(values), n)
	}
	if err != nil {
		c.fault(err)
		return make([]string, max(n, 0))
	}
	all := make([]string, len(values))
	for i, value := range values {
		s, ok := value.(string)
		if !ok && value != nil {
			c.fault(fmt.Errorf("%w: %T where a text belongs", errReply, value))
		}
		all[i] = s
	}
	return all
}

// firstTime takes a reply WITHSCORES of at most one member, and returns the time that
// its score tells on the given clock; zero if there is none.
func (c *counts) firstTime(of clock) time.Time {
	value, found, err := headScore(c.take())
	if err != nil {
		c.fault(err)
	}
	if !found {
		return time.Time{}
	}
	return of.time(value)
}

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
// with counts.delayed.
func delayed(dst []command, key string, scores clock, now time.Time) []command {
	limit := scores.due(now)
	return append(dst,
		command{key: key, class: 'z', args: []any{"ZCOUNT", key, "-inf", limit}},
		command{key: key, class: 'z', args: []any{"ZRANGE", key, 0, 0, "WITHSCORES"}},
		command{key: key, class: 'z', args: byScore(key, "("+limit, "+inf", 1, true)},
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

// A schedule is what is known of a sorted set of future work.
type schedule struct {
	due int64
	// since is when the first that is due became so; zero if none is or nobody can tell.
	since time.Time
	// next is when the next one falls due; zero if there is none.
	next time.Time
}

// delayed takes the replies to the commands of delayed.
func (c *counts) delayed(scores clock) schedule {
	s := schedule{due: c.number(), since: c.firstTime(scores), next: c.firstTime(scores)}
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
