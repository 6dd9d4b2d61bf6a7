package dramatiq

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// maxDelayed is how many delayed messages of a queue are looked at.
const maxDelayed = 2000

// askMessages looks into messages: when the delayed ones are due, and how old the first one
// on the queue is. There are total delayed messages. first is the id of the first one on the
// queue; "" if it is not wanted.
func (q *queue) askMessages(trips *layout.RoundTrips, r *backlog.Reading, total int64, first string) error {
	var commands []resp.Command
	if total > 0 {
		commands = append(commands, resp.Command{Key: q.delayed, Args: []any{"HRANDFIELD", q.delayed, maxDelayed, "WITHVALUES"}})
	}
	if first != "" {
		commands = append(commands, resp.Command{Key: q.messages, Args: []any{"HGET", q.messages, first}})
	}
	c := trips.Ask(commands...)
	var since time.Time
	if total > 0 {
		since = addDelayed(c, r, total, trips.Now())
	}
	if first == "" || c.Err() != nil {
		return c.Err()
	}
	return addAge(c, r, since)
}

// addDelayed takes delayed messages, and adds to the reading what they say. It returns since
// when the first one that was seen has been due; zero if none is.
func addDelayed(c *resp.Decoder, r *backlog.Reading, total int64, now time.Time) (since time.Time) {
	if replies := c.Rest(); !c.Allowed() {
		r.Due, r.Quality = total, backlog.UpperBound
		r.Warning = replies[0].Denial("HRANDFIELD", 6, 2) + ", so when delayed messages are due is not known: all of them count as due"
		return time.Time{}
	}
	pairs := c.Strings(-1)
	if len(pairs)%2 != 0 {
		c.Fail(fmt.Errorf("%w: %d elements where names and values belong", resp.ErrReply, len(pairs)))
	}
	if c.Err() != nil {
		return time.Time{}
	}
	for i := 1; i < len(pairs); i += 2 {
		m, err := parseMessage(pairs[i])
		due := layout.Milliseconds.Time(m.Options.ETA)
		if err == nil && due.After(now) {
			r.NextDue = layout.Earlier(r.NextDue, due)
			continue
		}
		r.Due++
		since = layout.Earlier(since, due)
		if err != nil {
			r.Quality = backlog.UpperBound
			r.Warning = "delayed messages are not in JSON, so when they are due is not known: all of them count as due"
		}
	}
	if looked := int64(len(pairs) / 2); looked >= maxDelayed && total > looked {
		r.Due = max(1, r.Due)
		r.Quality = backlog.LowerBound
	}
	if r.Quality == backlog.Exact {
		r.Oldest = layout.Schedule{Since: since}.Age(r.Ready)
	}
	return since
}

// addAge takes the first message on the queue, and adds its age to the reading. A delayed
// message has been due since the moment due; zero if none is.
func addAge(c *resp.Decoder, r *backlog.Reading, due time.Time) error {
	text, found := c.Text()
	if c.Err() != nil || !found {
		return c.Err()
	}
	m, err := parseMessage(text)
	if err != nil {
		return err
	}
	if made := layout.Milliseconds.Time(m.Timestamp); !made.IsZero() {
		r.Oldest = backlog.Age{Since: layout.Earlier(made, due), Kind: backlog.AgeExact}
	}
	return nil
}

// A message is what is wanted of a message; times are Unix times in milliseconds.
type message struct {
	Timestamp float64 `json:"message_timestamp"`
	Options   struct {
		ETA float64 `json:"eta"`
	} `json:"options"`
}

func parseMessage(text string) (message, error) {
	var m message
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		// What the message holds is not repeated: it may be a secret.
		return message{}, fmt.Errorf("%w: a message of Dramatiq is not in JSON", resp.ErrReply)
	}
	return m, nil
}
