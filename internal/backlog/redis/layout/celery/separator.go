package celery

import (
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// askRegistry asks whether Celery knows a queue in which there is nothing. It refuses a
// separator that is not that of the application: its tasks with a priority would be overlooked.
func (q *queue) askRegistry(trips *layout.RoundTrips, empty backlog.Reading) (backlog.Reading, error) {
	c := trips.Ask(q.registry.Commands()...)
	if other := q.otherSeparator(c.Rest()); other != "" {
		return empty, fmt.Errorf("%w: Celery binds the queue with the separator %q, and the trigger has %q: set separator to the sep of broker_transport_options", backlog.ErrMismatch, other, q.separator)
	}
	return q.registry.Conclude(trips, c, empty)
}

// otherSeparator returns the separator with which the queue is bound, if it is bound with
// another one than its own alone; else "".
func (q *queue) otherSeparator(replies []resp.Reply) (other string) {
	for _, reply := range replies {
		members, _ := reply.Value.([]any)
		for _, member := range members {
			bound := resp.Text(member)
			if strings.HasSuffix(bound, q.separator+q.name) {
				return ""
			}
			if found, is := separatorIn(bound, q.name); is {
				other = found
			}
		}
	}
	return other
}

// queueIn returns the queue in its binding to an exchange that is named like it,
// whatever the separator; "" if it is no such binding.
func queueIn(bound string) string {
	for n := (len(bound) - 1) / 2; n > 0; n-- {
		if _, found := separatorIn(bound, bound[:n]); found {
			return bound[:n]
		}
	}
	return ""
}

// separatorIn returns the separator in the binding of a queue to an exchange that is
// named like it: the queue as the routing key, the separator, no pattern, the separator,
// the queue.
func separatorIn(bound, queue string) (separator string, found bool) {
	middle, found := strings.CutPrefix(bound, queue)
	if !found {
		return "", false
	}
	middle, found = strings.CutSuffix(middle, queue)
	half := len(middle) / 2
	return middle[:half], found && half > 0 && middle[:half] == middle[half:]
}
