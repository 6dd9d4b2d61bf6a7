package server

import (
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A method is one of KEDA's methods about one trigger.
type method uint32

// The methods. methodNone stands for a static watch, which KEDA does not call.
const (
	methodNone method = iota
	methodIsActive
	methodGetMetrics
	methodGetMetricSpec
	methodStreamIsActive
	methodStreamMetricSpec

	methods
)

// String returns the name of the method in KEDA's protocol.
func (m method) String() string {
	return [methods]string{"", "IsActive", "GetMetrics", "GetMetricSpec", "StreamIsActive", "StreamMetricSpec"}[m]
}

// A LastResponse is the last response of a method to KEDA.
type LastResponse struct {
	Method string
	// At is when KEDA last got the response, and UnchangedSince when it became this one.
	At, UnchangedSince time.Time
	// Value, Target and Active are nil if the method does not report them.
	Value, Target *float64
	Active        *bool
	// Code and Error are those of an error; else empty.
	Code, Error string
}

// A response is the response to a call. Which of the numbers are in it depends on the method.
type response struct {
	value, target float64
	active        bool
	// code and text are those of an error.
	code codes.Code
	text string
	// since is when the response became this one.
	since time.Time
}

// A callHistory holds the last response of each method about a trigger. Calls write it
// without a lock and, while the response stays the same, without an allocation.
type callHistory [methods]struct {
	// at is when KEDA last got the response, in nanoseconds since 1970.
	at   atomic.Int64
	last atomic.Pointer[response]
}

// record stores a response.
func (c *callHistory) record(by method, r response, now time.Time) {
	c[by].at.Store(now.UnixNano())
	last := c[by].last.Load()
	if last != nil && last.value == r.value && last.target == r.target && last.active == r.active && last.code == r.code && last.text == r.text {
		return
	}
	c.replace(by, last, r, now)
}

// replace stores a response that differs from the last one. Errors with equal codes count
// as unchanged, even if the age in their text differs.
func (c *callHistory) replace(by method, last *response, r response, now time.Time) {
	r.since = now
	if last != nil && r.code != codes.OK && last.code == r.code {
		r.since = last.since
	}
	c[by].last.Store(&r)
}

// recordError stores the error of a call and returns it.
func (c *callHistory) recordError(by method, err error, now time.Time) error {
	if s := status.Convert(err); s.Code() != codes.Canceled {
		c.record(by, response{code: s.Code(), text: s.Message()}, now)
	}
	return err
}

// all returns the last response of each method, the most recent first.
func (c *callHistory) all() []LastResponse {
	var all []LastResponse
	for by := methodNone + 1; by < methods; by++ {
		last := c[by].last.Load()
		if last == nil {
			continue
		}
		r := LastResponse{Method: by.String(), At: time.Unix(0, c[by].at.Load()), UnchangedSince: last.since}
		switch {
		case last.text != "":
			r.Code, r.Error = last.code.String(), last.text
		case by == methodGetMetrics:
			r.Value = &last.value
		case by == methodIsActive, by == methodStreamIsActive:
			r.Active = &last.active
		default:
			r.Target = &last.target
		}
		all = append(all, r)
	}
	slices.SortStableFunc(all, func(a, b LastResponse) int { return b.At.Compare(a.At) })
	return all
}
