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
			Check:    checkList,
		},
		Discover: layout.KeysOfType("list"),
		Prepare: func(q backlog.Query, _ layout.KeySearch) layout.Step {
			s := &listStep{{Key: q.Queue, KeyType: 'l', Args: []any{"LLEN", q.Queue}}}
			if inFlight := strings.ReplaceAll(q.Params.Get(inFlightList), inFlightQueue, q.Queue); inFlight != "" {
				*s = append(*s, resp.Command{Key: inFlight, KeyType: 'l', Args: []any{"LLEN", inFlight}})
			}
			return s
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

// A listStep asks for the length of the list and of the one in flight, if any.
type listStep []resp.Command

// Commands implements layout.Step.
func (s *listStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	return append(dst, *s...)
}

// Outcome implements layout.Step.
func (s *listStep) Outcome(replies []resp.Reply, _ time.Time) (o layout.Outcome) {
	if o.Reading.Ready, o.Err = replies[0].Count(); o.Err != nil {
		return o
	}
	if len(replies) > 1 {
		inFlight, err := replies[1].Count()
		if err != nil {
			return layout.Fail(err)
		}
		o.Reading.InFlight = backlog.Exactly(inFlight)
	}
	// Redis has no empty lists: the last pop deletes the key.
	o.Reading.Missing = o.Reading.Backlog() == 0
	return o
}
