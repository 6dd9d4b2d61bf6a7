package resp

import (
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Decoder takes replies one by one, in the order of their commands. It keeps the first
// error. What it returns after an error means nothing, so look at err before you make a
// reading of it.
type Decoder struct {
	replies []Reply
	first   error
}

// NewDecoder returns a decoder of replies.
func NewDecoder(replies []Reply) *Decoder { return &Decoder{replies: replies} }

// Err returns the first error; nil if there was none.
func (d *Decoder) Err() error { return d.first }

// Rest returns the replies that were not taken yet.
func (d *Decoder) Rest() []Reply { return d.replies }

// Fail keeps err if it is the first one.
func (d *Decoder) Fail(err error) {
	if d.first == nil {
		d.first = err
	}
}

// Next takes the next reply.
func (d *Decoder) Next() Reply {
	if len(d.replies) == 0 {
		if d.first == nil {
			d.first = fmt.Errorf("%w: none where one belongs", ErrReply)
		}
		return Reply{}
	}
	next := d.replies[0]
	d.replies = d.replies[1:]
	return next
}

// Count takes a number from 0 to MaxCount.
func (d *Decoder) Count() int64 {
	n, err := d.Next().Count()
	if err != nil {
		d.Fail(err)
	}
	return n
}

// Text takes a text, or a null value, which is not found.
func (d *Decoder) Text() (value string, found bool) {
	r := d.Next()
	if errors.Is(r.Err, ErrNil) {
		return "", false
	}
	if r.Err != nil {
		d.Fail(r.Err)
		return "", false
	}
	value, found = r.Value.(string)
	if !found && r.Value != nil {
		d.Fail(fmt.Errorf("%w: %T where a text belongs", ErrReply, r.Value))
	}
	return value, found
}

// Strings takes an array of n texts, or of any number of them if n is negative. A null value
// among them is "".
func (d *Decoder) Strings(n int) []string {
	values, err := d.Next().List()
	if err == nil && n >= 0 && len(values) != n {
		err = fmt.Errorf("%w: %d values where %d belong", ErrReply, len(values), n)
	}
	if err != nil {
		d.Fail(err)
		return make([]string, max(n, 0))
	}
	all := make([]string, len(values))
	for i, value := range values {
		s, ok := value.(string)
		if !ok && value != nil {
			d.Fail(fmt.Errorf("%w: %T where a text belongs", ErrReply, value))
		}
		all[i] = s
	}
	return all
}

// FirstScore takes a reply WITHSCORES of at most one member, and returns its score. It is
// not found where the array is empty.
func (d *Decoder) FirstScore() (value float64, found bool) {
	value, found, err := d.Next().FirstScore()
	if err != nil {
		d.Fail(err)
	}
	return value, found
}

// Allowed reports whether the server allowed the command of the next reply, and skips the
// reply if it did not. It is for what a reading can do without.
func (d *Decoder) Allowed() bool {
	if len(d.replies) == 0 || !d.replies[0].IsDenied() {
		return true
	}
	d.replies = d.replies[1:]
	return false
}

// OptionalCount takes a number that the reading can do without: unknown where the server
// denies the command or its key.
func (d *Decoder) OptionalCount() backlog.Count {
	if !d.Allowed() {
		return backlog.Count{}
	}
	return backlog.Exactly(d.Count())
}

// OptionalStrings takes an array of texts that the reading can do without; false where the
// server denies the command or its key.
func (d *Decoder) OptionalStrings() ([]string, bool) {
	if !d.Allowed() {
		return nil, false
	}
	return d.Strings(-1), true
}

// OptionalText takes a text that the reading can do without; "" where there is none, and
// false where the server denies the command or its key.
func (d *Decoder) OptionalText() (string, bool) {
	if !d.Allowed() {
		return "", false
	}
	value, _ := d.Text()
	return value, true
}
