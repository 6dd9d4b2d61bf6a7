package sqs

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// leastZeros is how many answers in a row have to be zero before that is believed.
const leastZeros = 3

// errUnproven is a queue without messages that may have some. Nothing is known from before.
var errUnproven = fmt.Errorf("%w: SQS says that the queue is empty, and its numbers may be behind", backlog.ErrPartial)

// numbers are what SQS says of a queue.
type numbers struct {
	visible, notVisible, delayed int64
	// created identifies the life of the queue.
	created string
}

// maxNumber is more than a queue holds.
const maxNumber = 1 << 53

// parseNumbers parses the attributes of a queue. What is missing or is no number is an error.
func parseNumbers(attributes map[string]string) (n numbers, err error) {
	for _, one := range []struct {
		name   types.QueueAttributeName
		target *int64
	}{
		{types.QueueAttributeNameApproximateNumberOfMessages, &n.visible},
		{types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, &n.notVisible},
		{types.QueueAttributeNameApproximateNumberOfMessagesDelayed, &n.delayed},
	} {
		text, has := attributes[string(one.name)]
		if !has {
			return n, fmt.Errorf("%w: the answer has no %s", backlog.ErrPartial, one.name)
		}
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil || number < 0 || number > maxNumber {
			return n, fmt.Errorf("%w: %s is %q", backlog.ErrMismatch, one.name, backlog.Line(shorten(text)))
		}
		*one.target = number
	}
	n.created = attributes[string(types.QueueAttributeNameCreatedTimestamp)]
	if !isTime(n.created) {
		return n, fmt.Errorf("%w: the answer does not say when the queue was created", backlog.ErrPartial)
	}
	return n, nil
}

// reading returns the numbers as a reading. They are approximate, and judge sees to it that zero is not said of
// work.
func (n numbers) reading(c counting, at time.Time) backlog.Reading {
	r := backlog.Reading{
		At: at, Ready: n.visible, InFlight: backlog.Exactly(n.notVisible), MaxUseful: c.groups, Quality: backlog.LowerBound, Epoch: n.created,
	}
	if c.delayed {
		r.Due = n.delayed
	}
	return r
}

// counting is how a trigger counts.
type counting struct {
	delayed bool
	groups  int64
}

// A history is what is known of a queue from before. A queue is one that a trigger names, with how it counts.
type history struct {
	// life is the epoch of the queue.
	life string
	// last is the last reading that was believed; its At is zero if there is none.
	last backlog.Reading
	// zeros is how many of the last answers were zero, and since when.
	zeros int
	since time.Time
	// worked is when there were messages last, or when the queue was first read.
	worked time.Time
}

// judge returns what an answer means. Zero has to be said for emptyFor, and not once. What was believed
// before counts until then, though not for longer: it is a number that was true, next to one that may not
// be.
//
// Worked example: a queue has 7 messages, and workers take them. The next answers are 0 after 5, 10 ... 60 s.
// The queue counts as 7 for 65 s, and as empty from then on.
func (h *history) judge(r backlog.Reading, emptyFor time.Duration) backlog.Result {
	if h.life != r.Epoch {
		*h = history{life: r.Epoch, worked: r.At}
	}
	known := !h.last.At.IsZero()
	switch {
	case r.Backlog() > 0:
		h.last, h.zeros, h.worked = r, 0, r.At
		return backlog.Result{Reading: r}
	case known && h.last.Backlog() == 0:
		h.last = r
		return backlog.Result{Reading: r}
	}
	h.zeros++
	if h.zeros == 1 {
		h.since = r.At
	}
	if h.zeros >= leastZeros && r.At.Sub(h.since) >= emptyFor {
		h.last, h.zeros = r, 0
		return backlog.Result{Reading: r}
	}
	if !known {
		return backlog.Result{Err: errUnproven, Pending: true}
	}
	held := h.last
	held.At = r.At
	return backlog.Result{Reading: held, Pending: true}
}

// interrupt notes that there was no answer: what was said before it and what is said after it do not follow each
// other.
func (h *history) interrupt() { h.zeros = 0 }

// isDoubted reports whether the last answer was a zero that is not believed yet.
func (h *history) isDoubted() bool { return h.zeros > 0 }
