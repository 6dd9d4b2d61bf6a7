package native

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

var (
	errScale       = errors.New("scoreScale: want a number above 0")
	errScaleOfNone = errors.New("scoreScale: has no meaning with score none")
)

// SortedSet is a Redis sorted set whose members are messages.
func SortedSet() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name:     "sortedSet",
			Summary:  "A sorted set whose members are messages, scored by the time they are due (ZADD and ZRANGEBYSCORE or ZPOPMIN).",
			Queue:    "key of the sorted set",
			Patterns: layout.FoundByScan("sorted sets"),
			Parameters: []backlog.Parameter{
				{Name: "score", Kind: backlog.KindChoice, Allowed: []string{"seconds", "milliseconds", "none"}, Default: "seconds", Doc: "What a score means: the Unix time at which the message is due, or nothing about time."},
				{Name: "scoreScale", Kind: backlog.KindNumber, Doc: "Where a score is neither: by how much the Unix time in seconds is multiplied to give the score. It takes the place of score."},
			},
			Ready:  "the members whose time has come, for workers take them by score; all members if score is none",
			Oldest: "exact: since when the member with the lowest score has been due; unknown if score is none",
			Check:  checkSortedSet,
		},
		Discover: layout.KeysOfType("zset"),
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			scale := scoreScale(q.Params)
			if scale == 0 {
				return Cardinality("ZCARD", 'z', q.Queue)
			}
			return &sortedSet{key: q.Queue, scale: scale}
		},
	}
}

func checkSortedSet(q backlog.Query) error {
	text := q.Params.Get("scoreScale")
	if text == "" {
		return nil
	}
	scale, err := strconv.ParseFloat(text, 64)
	if err != nil || !(scale > 0) || math.IsInf(scale, 0) {
		return errScale
	}
	if kind := q.Params.Get("score"); kind == "none" {
		return errScaleOfNone
	}
	return nil
}

// scoreScale returns score per second, 0 if scores are no times.
func scoreScale(p backlog.Params) float64 {
	if scale, err := strconv.ParseFloat(p.Get("scoreScale"), 64); err == nil {
		return scale
	}
	switch p.Get("score") {
	case "none":
		return 0
	case "milliseconds":
		return 1000
	default:
		return 1
	}
}

// A sortedSet asks for the members that are due, the first of them, and the first
// that is not due yet. Redis gives no score without its member, so two members
// are sent along.
type sortedSet struct {
	key string
	// scale is score per second of Unix time, positive.
	scale float64
}

// Commands implements layout.Reader.
func (s *sortedSet) Commands(dst []resp.Command, now time.Time) []resp.Command {
	limit := strconv.FormatFloat(s.scoreAt(now), 'f', -1, 64)
	return append(dst,
		resp.Command{Key: s.key, KeyType: 'z', Args: []any{"ZCOUNT", s.key, "-inf", limit}},
		resp.Command{Key: s.key, KeyType: 'z', Args: []any{"ZRANGE", s.key, 0, 0, "WITHSCORES"}},
		resp.Command{Key: s.key, KeyType: 'z', Args: layout.ByScore(s.key, "("+limit, "+inf", 1, true)},
	)
}

// Read implements layout.Reader.
func (s *sortedSet) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	due := c.Count()
	first, isFirst := c.FirstScore()
	next, isNext := c.FirstScore()
	r := backlog.Reading{Ready: due}
	if !isFirst {
		// The commands of a pipeline are not one transaction: the set may have been
		// emptied between them, and then what was counted first is the later news.
		r.Missing = due == 0 && !isNext
		return r, c.Err()
	}
	if due > 0 {
		if since, ok := s.timeOf(first); ok {
			r.Oldest = backlog.Age{Since: since, Kind: backlog.AgeExact}
		}
	}
	if isNext {
		r.NextDue, _ = s.timeOf(next)
	}
	return r, c.Err()
}

func (s *sortedSet) scoreAt(t time.Time) float64 {
	return float64(t.UnixMicro()) * s.scale / 1e6
}

// timeOf is false for a score outside of any time that matters, such as infinity.
func (s *sortedSet) timeOf(score float64) (time.Time, bool) {
	micros := score / s.scale * 1e6
	// Up to the year 9999.
	if math.IsNaN(micros) || micros <= 0 || micros > 253402300799e6 {
		return time.Time{}, false
	}
	// Rounded up, so that the member is due when the moment has come.
	return time.UnixMicro(int64(math.Ceil(micros))), true
}
