package server

import (
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A method is one of KEDA's, that asks about one trigger.
type method uint32

// The methods. A watch of the configuration is asked for by none.
const (
	methodNone method = iota
	methodIsActive
	methodGetMetrics
	methodGetMetricSpec
	methodStreamIsActive
	methodStreamMetricSpec

	methods
)

// String is the name of the method in KEDA's protocol.
func (m method) String() string {
	return [methods]string{"", "IsActive", "GetMetrics", "GetMetricSpec", "StreamIsActive", "StreamMetricSpec"}[m]
}

// An answer is what a call was answered. Which of the numbers were told depends on
// the method.
type answer struct {
	value, target float64
	active        bool
	// code and text are those of an error.
	code codes.Code
	text string
	// since is when it was told first.
	since time.Time
}

// A conversation is what KEDA was last told about a trigger, by method. Calls
// write it without a lock and, while the answer stays the same, without a new one.
type conversation [methods]struct {
	// at is when it was told last, in nanoseconds since 1970.
	at   atomic.Int64
	last atomic.Pointer[answer]
}

// note remembers an answer.
func (c *conversation) note(by method, a answer, now time.Time) {
	c[by].at.Store(now.UnixNano())
	last := c[by].last.Load()
	if last != nil && last.value == a.value && last.target == a.target && last.active == a.active && last.code == a.code && last.text == a.text {
		return
	}
	c.replace(by, last, a, now)
}

// replace puts another answer in the place of last. An error that only words its
// age anew is the same answer still.
func (c *conversation) replace(by method, last *answer, a answer, now time.Time) {
	a.since = now
	if last != nil && a.code != codes.OK && last.code == a.code {
		a.since = last.since
	}
	c[by].last.Store(&a)
}

// refuse remembers that a call was answered with an error, and returns the error.
func (c *conversation) refuse(by method, err error, now time.Time) error {
	if s := status.Convert(err); s.Code() != codes.Canceled {
		c.note(by, answer{code: s.Code(), text: s.Message()}, now)
	}
	return err
}
