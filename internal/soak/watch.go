package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// The documented bounds, as docs/operations.md has them.
const (
	// maxStaleness is that of all triggers.
	maxStaleness = 10 * time.Second
	// activeInterval is how often a queue with work is read. One that is idle is read at
	// once when it changes.
	activeInterval = time.Second
	// safetyInterval is how often an idle queue is confirmed.
	safetyInterval = 10 * time.Second
	// readTimeouts is for how long a silent server is not noticed.
	readTimeouts = 4 * time.Second
	// slack is what a read, a call and their goroutines may take on a machine that is not
	// busy.
	slack = 1500 * time.Millisecond

	// fresh is how old a reading is at most while all is as it should be, and old how old
	// one is that is reported at any time.
	fresh = activeInterval + slack
	old   = max(maxStaleness, safetyInterval) + readTimeouts + slack
)

// overload is how much less of the time timers may be late: half of it. Beyond, the machine is too busy
// for its servers, and reads may end without an answer although nothing is wrong.
const overload = 2

// callTime is how long a call takes at most. The scaler answers from memory, except for the first time. callTimeout ends one that takes far longer.
const callTime, callTimeout = 5 * time.Second, time.Minute

// A watch asks about one trigger as KEDA does, and holds each answer against what the
// queue truly held.
type watch struct {
	*run
	topology string
	queue    *stage.Queue
	ref      *pb.ScaledObjectRef

	// mu guards the last message of the stream.
	mu     sync.Mutex
	open   bool
	opened time.Time
	active bool
}

func newWatch(r *run, topology string, q *stage.Queue) *watch {
	metadata := map[string]string{"connection": q.Connection, "target": "1", "maxStaleness": maxStaleness.String()}
	maps.Copy(metadata, q.Metadata)
	return &watch{run: r, topology: topology, queue: q, ref: &pb.ScaledObjectRef{Name: q.Connection + "." + q.Name, Namespace: namespace, ScalerMetadata: metadata}}
}

// namespace is that of all triggers.
const namespace = "soak"

// poll asks until ctx ends.
func (w *watch) poll(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		w.ask(ctx)
		timer.Reset(200*time.Millisecond + rand.N(200*time.Millisecond))
	}
}

func (w *watch) ask(ctx context.Context) {
	// It ends with the call, not with the run: its answer counts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	began := time.Now()
	metrics, err := w.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: w.ref})
	answered := time.Now()
	if w.errorIsRight(began, answered, "GetMetrics", err) {
		value := metrics.GetMetricValues()[0].GetMetricValueFloat()
		w.checkValue(began, answered, int64(value))
	}
	began = time.Now()
	activity, err := w.client.IsActive(ctx, w.ref)
	answered = time.Now()
	if w.errorIsRight(began, answered, "IsActive", err) {
		w.checkActive(began, answered, "IsActive", activity.GetResult())
	}
	w.checkStream()
}

// errorIsRight holds an error against the promise, and reports whether there is none.
func (w *watch) errorIsRight(began, ended time.Time, call string, err error) (ok bool) {
	if took := ended.Sub(began); took > callTime+stallFactor*w.stalls.lost(began, ended) {
		w.violate(w, Available, ended, fmt.Sprintf("%s took %s", call, took))
	}
	calm := w.bounds(began, ended).calm
	w.tally.answer(calm, err)
	switch {
	case err == nil:
		return true
	case calm:
		w.violate(w, Available, ended, fmt.Sprintf("%s: %v, although nothing is wrong", call, err))
	case status.Code(err) != codes.Unavailable:
		w.violate(w, Available, ended, fmt.Sprintf("%s: %v, want Unavailable", call, err))
	}
	return false
}

// bounds is what an answer is held against.
type bounds struct {
	// calm says that all has been as it should be for long enough.
	calm bool
	// since is from when on the queue may have held what the answer says, and until the
	// answer came.
	since, until time.Time
	// lo and hi are what it held in between.
	lo, hi int64
}

func (b bounds) String() string {
	return fmt.Sprintf("in the last %s it held %s", b.until.Sub(b.since).Round(time.Millisecond), between(b.lo, b.hi))
}

// bounds returns what an answer to a call is held against.
//
// While all is as it should be, a reading is from within the last second. While a queue
// cannot be read, the last reading is from a second before that began, or later. A reading
// that is older than maxStaleness is not reported.
func (w *watch) bounds(began, ended time.Time) bounds {
	recent := fresh + w.queue.Late + stallFactor*w.stalls.lost(began.Add(-2*fresh), ended)
	longest := old + stallFactor*w.stalls.lost(began.Add(-old), ended)
	b := bounds{since: began.Add(-recent), until: ended}
	// A fault may have begun or ended while the call was under way.
	for _, at := range []time.Time{began, ended} {
		since, is := w.troubles.disturbed(w.topology, w.queue, at, w.stalls.lost)
		if since = since.Add(-recent); is && since.Before(b.since) {
			b.since = since
		}
		b.calm = !is && (at.Equal(began) || b.calm)
	}
	if overload*w.stalls.lost(began.Add(-old), ended) > old {
		b.calm = false
	}
	if oldest := began.Add(-longest); b.since.Before(oldest) {
		b.since = oldest
	}
	b.lo, b.hi = w.queue.History.Bounds(b.since, ended)
	if w.troubles.raised(w.topology, ended, w.stalls.lost) {
		_, b.hi = w.queue.History.Bounds(began.Add(-longest), ended)
	}
	return b
}

func (w *watch) checkValue(began, ended time.Time, value int64) {
	b := w.bounds(began, ended)
	w.tally.value(b.calm, b.lo == b.hi)
	if b.lo <= value && value <= b.hi || value > b.hi && b.hi > 0 && w.queue.AtMost {
		return
	}
	invariant := Reading
	if value < b.lo && !b.calm {
		invariant = Understated
	}
	w.violate(w, invariant, ended, fmt.Sprintf("GetMetrics: %d; %s", value, b))
}

func (w *watch) checkActive(began, ended time.Time, call string, active bool) {
	b := w.bounds(began, ended)
	switch {
	case !active && b.lo > 0 && b.calm:
		w.violate(w, Announced, ended, fmt.Sprintf("%s: inactive; %s", call, b))
	case !active && b.lo > 0:
		w.violate(w, Understated, ended, fmt.Sprintf("%s: inactive; %s", call, b))
	case active && b.hi == 0:
		w.violate(w, Idle, ended, fmt.Sprintf("%s: active; %s", call, b))
	}
}

// checkStream compares the last message of the stream with what the queue held. While a queue cannot be read a
// stream sends nothing.
func (w *watch) checkStream() {
	began := time.Now()
	w.mu.Lock()
	open, opened, active := w.open, w.opened, w.active
	w.mu.Unlock()
	ended := time.Now()
	b := w.bounds(began, ended)
	switch {
	case !b.calm || !opened.Before(b.since):
		// It speaks as soon as it is open.
	case open:
		w.checkActive(began, ended, "StreamIsActive", active)
	default:
		w.violate(w, Announced, ended, "StreamIsActive: there is no stream, although nothing is wrong")
	}
}

// stream holds a stream until ctx ends, as KEDA does.
func (w *watch) stream(ctx context.Context) {
	for ctx.Err() == nil {
		stream, err := w.client.StreamIsActive(ctx, w.ref)
		for err == nil {
			var response *pb.IsActiveResponse
			if response, err = stream.Recv(); err == nil {
				w.received(response.GetResult(), time.Now())
			}
		}
		w.mu.Lock()
		if w.open {
			w.open, w.opened = false, time.Now()
		}
		w.mu.Unlock()
		if ctx.Err() == nil && !errors.Is(err, io.EOF) && status.Code(err) != codes.Unavailable {
			w.violate(w, Available, time.Now(), fmt.Sprintf("StreamIsActive: %v", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (w *watch) received(active bool, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		w.opened = at
	}
	w.open, w.active = true, active
	w.tally.message()
}

func between(lo, hi int64) string {
	if lo == hi {
		return strconv.FormatInt(lo, 10)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}
