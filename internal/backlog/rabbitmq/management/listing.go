package management

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The types of queues that have rules of their own.
const (
	TypeClassic = "classic"
	TypeStream  = "stream"
)

// MaxQueueName is the longest name of a queue in bytes, that of a short string of AMQP.
const MaxQueueName = 255

// The bounds of a listing.
const (
	// pageSize is the largest that the management API allows:
	// https://www.rabbitmq.com/docs/management#http-api-pagination.
	pageSize = 500
	// maxPages bounds the queues of a virtual host that are listed, to 50,000.
	maxPages = 100
)

// A Listing is what the management API says about all queues of the virtual host. It is immutable.
type Listing struct {
	// Began is when the first page was asked for: no number in it is older, except those of quorum
	// queues.
	Began time.Time
	// Queues are all queues, by name, and Names the same in order.
	Queues map[string]Queue
	Names  []string
	// Revision changes when names or types do.
	Revision uint64
}

// A Queue is what a listing says about a queue.
type Queue struct {
	// Kind is the type, such as TypeClassic.
	Kind      string
	Exclusive bool
	// Available reports that the queue has a leader that runs.
	Available bool
	// State is the server's word for it.
	State string
	// Single reports that one consumer at a time gets messages.
	Single bool
	// Policy is the name of the policy that applies; empty if none does.
	Policy string
	// Counted reports that the numbers are there: of all messages, and of those that are not
	// acknowledged.
	Counted        bool
	Total, Unacked int64
}

// A page is an answer of the management API:
// https://www.rabbitmq.com/docs/http-api-reference#get-apiqueuesvhost. A number is missing while the
// server does not know it, such as right after a leader has changed.
type page struct {
	Items []item `json:"items"`
	Page  int    `json:"page"`
	Pages int    `json:"page_count"`
}

type item struct {
	Name      string `json:"name"`
	Kind      text   `json:"type"`
	State     text   `json:"state"`
	Leader    text   `json:"leader"`
	Exclusive flag   `json:"exclusive"`
	Policy    text   `json:"policy"`
	Operator  text   `json:"operator_policy"`
	Messages  count  `json:"messages"`
	Ready     count  `json:"messages_ready"`
	Unacked   count  `json:"messages_unacknowledged"`
	Arguments object `json:"arguments"`
}

// columns are the fields that are asked for.
const columns = "name,type,state,leader,exclusive,policy,operator_policy,messages,messages_ready,messages_unacknowledged,arguments.x-single-active-consumer"

// A text is a string; anything else, such as null, is none.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil && len(s) <= MaxQueueName {
		*t = text(s)
	}
	return nil
}

// A flag is true; anything else is false.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(data []byte) error {
	*f = string(data) == "true"
	return nil
}

// A count is a whole number that is not negative; anything else is unknown.
type count struct {
	n     int64
	known bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *count) UnmarshalJSON(data []byte) error {
	var n int64
	if json.Unmarshal(data, &n) == nil && n >= 0 && string(data) != "null" {
		*c = count{n, true}
	}
	return nil
}

// An object has the arguments of a queue; the management API writes those without any as a list.
type object struct {
	Single flag `json:"x-single-active-consumer"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *object) UnmarshalJSON(data []byte) error {
	type plain object
	var p plain
	if json.Unmarshal(data, &p) == nil {
		*o = object(p)
	}
	return nil
}

// parsePage returns the queues of a page and the number of pages.
func parsePage(body []byte, into map[string]Queue) (pages int, err error) {
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		return 0, fmt.Errorf("%w: the management API sends no list of queues", backlog.ErrMismatch)
	}
	switch {
	case p.Items == nil, p.Pages < 0, len(p.Items) > pageSize:
		return 0, fmt.Errorf("%w: the management API sends no page of queues", backlog.ErrMismatch)
	case p.Pages > maxPages:
		return 0, fmt.Errorf("%w: the virtual host has more than %d queues, want at most that many", backlog.ErrExhausted, maxPages*pageSize)
	}
	for i := range p.Items {
		if name := p.Items[i].Name; name != "" && len(name) <= MaxQueueName {
			into[name] = p.Items[i].queue()
		}
	}
	return p.Pages, nil
}

// queue returns what is said about the queue.
func (i *item) queue() Queue {
	q := Queue{Kind: string(i.Kind), State: string(i.State), Exclusive: bool(i.Exclusive), Single: bool(i.Arguments.Single), Policy: string(cmp.Or(i.Policy, i.Operator))}
	running := q.State == "running" || q.State == "idle" || q.State == "flow"
	q.Available = running && (q.Kind == TypeClassic || i.Leader != "")
	if i.Messages.known && i.Ready.known && i.Unacked.known {
		q.Counted, q.Unacked = true, i.Unacked.n
		// Both are taken one after the other.
		q.Total = max(i.Messages.n, i.Unacked.n)
	}
	return q
}

// newListing returns a listing, with the revision of the one before if it has the same queues.
func newListing(began time.Time, queues map[string]Queue, before *Listing) *Listing {
	l := &Listing{Began: began, Queues: queues}
	if before != nil {
		l.Revision = before.Revision
		same := len(before.Queues) == len(queues)
		for name, one := range queues {
			old, known := before.Queues[name]
			same = same && known && old.Kind == one.Kind && old.Exclusive == one.Exclusive
			if !same {
				break
			}
		}
		if same {
			l.Names = before.Names
			return l
		}
	}
	l.Revision++
	l.Names = slices.Sorted(maps.Keys(queues))
	return l
}
