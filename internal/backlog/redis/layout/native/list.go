package native

import (
	"errors"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	inFlightList = "inFlightList"
	// inFlightQueue stands for the key of the list in that parameter.
	inFlightQueue = "{queue}"
)

var errNoInFlightList = errors.New("the layout list counts messages in flight only with inFlightList")

var errOneInFlightList = errors.New("inFlightList: names one list for several queues, want {queue} in it, such as {queue}:processing")

// List is a Redis list whose elements are messages.
func List() layout.Layout {
	return layout.Layout{
		Layout: backlog.Layout{
			Name:     "list",
			Summary:  "A list whose elements are messages (LPUSH and BRPOP, or LMOVE for a reliable queue).",
			Queue:    "key of the list",
			Patterns: layout.FoundByScan("lists"),
			Parameters: []backlog.Parameter{
				{Name: inFlightList, Kind: backlog.KindText, NamesKey: true, Doc: "Key of the list to which workers move what they are working on, as LMOVE and BLMOVE do. {queue} in it stands for the key of the list itself, of each one if there are several."},
			},
			Ready:    "the length of the list",
			InFlight: "the length of inFlightList, if given",
			CheckInFlight: func(q backlog.Query) error {
				if q.Params.Get(inFlightList) == "" {
					return errNoInFlightList
				}
				return nil
			},
			Check: checkList,
		},
		Discover: layout.KeysOfType("list"),
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Reader {
			l := &list{{Key: q.Queue, KeyType: 'l', Args: []any{"LLEN", q.Queue}}}
			if inFlight := strings.ReplaceAll(q.Params.Get(inFlightList), inFlightQueue, q.Queue); inFlight != "" {
				*l = append(*l, resp.Command{Key: inFlight, KeyType: 'l', Args: []any{"LLEN", inFlight}})
			}
			return l
		},
	}
}

// checkList demands a list of its own for what is in flight of each of several queues:
// one for all would count as often as there are queues.
func checkList(q backlog.Query) error {
	queues, err := backlog.ParseQueues(q.Queue)
	if err != nil {
		return err
	}
	if list := q.Params.Get(inFlightList); list != "" && queues.Several() && !strings.Contains(list, inFlightQueue) {
		return errOneInFlightList
	}
	return nil
}

// A list is the commands that ask for the lengths of a list and of the list of what workers
// have taken.
type list []resp.Command

// Commands implements layout.Reader.
func (l *list) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, *l...)
}

// Read implements layout.Reader.
func (l *list) Read(trips *layout.RoundTrips) (r backlog.Reading, err error) {
	c := trips.First()
	r.Ready = c.Count()
	if len(*l) > 1 {
		r.InFlight = backlog.Exactly(c.Count())
	}
	// Redis has no empty lists: the last pop deletes the key.
	r.Missing = r.Backlog() == 0
	return r, c.Err()
}
