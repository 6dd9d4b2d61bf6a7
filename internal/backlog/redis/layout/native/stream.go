package native

import (
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

var errNoConsumers = errors.New("the layout stream shows which workers are busy only with a consumerGroup")

var errNoInFlight = errors.New("the layout stream counts messages in flight only with a consumerGroup")

var errNoFinished = errors.New("the layout stream counts finished messages only with a consumerGroup")

var errNeedsGroup = errors.New("groupStart, scan, orphanedAfter: need a consumerGroup")

// Stream is a Redis stream, as a whole or as one consumer group sees it.
func Stream() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name: "stream",
			Summary: "A stream, read by a consumer group: what the group has not been served yet is ready, what it was served and did not " +
				"acknowledge is in flight. Without consumerGroup every entry counts, and the number falls only when entries are deleted or trimmed. A group that is set back (XGROUP SETID) on a stream at rest is noticed within a minute, because Redis does not notify about it.",
			Queue:    "key of the stream",
			Patterns: layout.FoundByScan("streams"),
			Parameters: []backlog.Parameter{
				{Name: "consumerGroup", Kind: backlog.KindText, Doc: "Consumer group whose backlog it is."},
				{Name: "groupStart", Kind: backlog.KindChoice, Allowed: []string{"first", "last"}, Default: "first", Doc: "Where the workers will create a group that does not exist yet: at the first entry (id 0), so that all entries wait for it, or at the last (id $), so that none does."},
				{Name: "scan", Kind: backlog.KindInteger, Min: 0, Max: 10000, Default: "0", Doc: "Where the server cannot tell the lag, count the entries themselves, up to this many. It needs the permission xrange and moves payloads. 0 is never: then an upper bound is reported."},
				layout.OrphanParameter(StreamOrphans),
			},
			Ready:    "entries that the group was not served yet; without a group the length of the stream",
			InFlight: "entries that the group was served and has not acknowledged",
			Passing:  "the id of the last entry that the group was served; nothing without a group, where what passed is still there",
			Finished: "with a group the entries that it was served (entries-read)",
			CheckInFlight: func(q backlog.Query) error {
				if q.Params.Get("consumerGroup") == "" {
					return errNoInFlight
				}
				return nil
			},
			CheckFinished: func(q backlog.Query) error {
				if q.Params.Get("consumerGroup") == "" {
					return errNoFinished
				}
				return nil
			},
			Oldest:  "exact from the id of the oldest unacknowledged entry, or of the first entry of a stream that was not served yet; else a lower bound; unknown without a group",
			Workers: "with a group, consumers that were served entries and have not acknowledged all of them, by the name of the consumer, at once: name it after its host",
			CheckWorkers: func(q backlog.Query) error {
				if q.Params.Get("consumerGroup") == "" {
					return errNoConsumers
				}
				return nil
			},
			Check: func(q backlog.Query) error {
				if q.Params.Get("consumerGroup") == "" && (q.Params.Get("groupStart") == "last" || q.Params.Get("scan") > "0" || q.Params.Get(layout.OrphanedAfter) != "") {
					return errNeedsGroup
				}
				return nil
			},
		},
		Discover: layout.KeysOfType("stream"),
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			group := q.Params.Get("consumerGroup")
			if group == "" {
				return &wholeStream{key: q.Queue}
			}
			return Group(q, group)
		},
		Workers: func(q backlog.Query) layout.Reader { return GroupWorkers(q, q.Params.Get("consumerGroup")) },
	}
}

// A wholeStream asks for the length of a stream.
type wholeStream struct{ key string }

// Commands implements layout.Reader.
func (s *wholeStream) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst,
		resp.Command{Key: s.key, KeyType: 't', Args: []any{"XLEN", s.key}},
		resp.Command{Key: s.key, KeyType: 't', Args: []any{"EXISTS", s.key}},
	)
}

// Read implements layout.Reader.
func (s *wholeStream) Read(trips *layout.RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	length, exists := c.Count(), c.Count()
	return backlog.Reading{Ready: length, Missing: length == 0 && exists == 0}, c.Err()
}
