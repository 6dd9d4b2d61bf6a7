package server

import (
	"errors"
	"math/rand/v2"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"

	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

// StreamIsActive tells KEDA when the trigger becomes active or inactive: the
// state at the start, and each change at once. A queue that cannot be read
// changes nothing. The stream ends with EOF when the server drains or after
// StreamLifetime.
func (s *Server) StreamIsActive(ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	closeStream, err := s.openStream("StreamIsActive", ref)
	if err != nil {
		return err
	}
	defer closeStream()
	ref = s.shared(ref)
	told := activity{ends: time.Now().Add(s.lifetime())}
	for {
		again, err := s.streamActivity(ref, stream, &told)
		if err != nil {
			s.refusals.note(stream.Context(), "StreamIsActive", ref, err)
		}
		if err != nil || !again {
			return err
		}
	}
}

// streamActivity serves a stream for as long as one configuration is in force.
func (s *Server) streamActivity(
	ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse], told *activity,
) (again bool, err error) {
	current := s.epoch.Load()
	live, err := s.resolve(ref, methodStreamIsActive)
	if err != nil {
		return false, toStatus(err)
	}
	sub, err := s.observer.Subscribe(live.interest())
	if err != nil {
		return false, toStatus(live.explain(err))
	}
	defer sub.Close()
	live.streams.Add(1)
	defer live.streams.Add(-1)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if !now.Before(told.ends) {
			return false, nil
		}
		wait, err := live.report(sub, stream, told, now)
		if err != nil {
			return false, err
		}
		timer.Reset(wait)
		select {
		case <-sub.Changed():
			if sub.Gone() {
				return false, toStatus(live.explain(errGone))
			}
		case <-timer.C:
		case <-current.over:
			return true, nil
		case <-s.draining:
			return false, nil
		case <-stream.Context().Done():
			return false, toStatus(stream.Context().Err())
		}
	}
}

// report sends what is news about the trigger, and returns when to look again. It is a
// function of its own because of the stacks of idle streams, which Go shrinks to 8 KiB if
// less than 4 are in use: no frame of a stream that waits holds an observation.
func (t *liveTrigger) report(
	sub Subscription, stream grpc.ServerStreamingServer[pb.IsActiveResponse], told *activity, now time.Time,
) (wait time.Duration, err error) {
	wait = told.ends.Sub(now)
	seen := sub.Observation()
	decision, err := t.decide(&seen, now)
	sub.SetWaiting(!decision.Active)
	settling := errors.Is(err, policy.ErrSettling)
	if err != nil && !settling {
		return wait, nil
	}
	sent, err := told.tell(stream, decision, settling, now)
	if err != nil {
		return 0, err
	}
	if sent {
		t.calls.note(methodStreamIsActive, answer{active: decision.Active}, now)
	}
	return min(wait, told.next(decision, now)), nil
}

// errGone ends the stream of a connection that was removed from the configuration.
var errGone = errors.New("the connection was removed from the scaler's configuration")

// StreamMetricSpec sends the trigger's target at the start and when it changes.
// It ends as StreamIsActive does.
func (s *Server) StreamMetricSpec(ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.GetMetricSpecResponse]) error {
	closeStream, err := s.openStream("StreamMetricSpec", ref)
	if err != nil {
		return err
	}
	defer closeStream()
	lifetime := time.NewTimer(s.lifetime())
	defer lifetime.Stop()
	ref = s.shared(ref)
	var name string
	var target float64
	for {
		current := s.epoch.Load()
		live, err := s.resolve(ref, methodStreamMetricSpec)
		if err != nil {
			return toStatus(err)
		}
		// KEDA reconciles the ScaledObject at every message, so an unchanged one is
		// not sent again:
		// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L149
		if t := &live.trigger; t.MetricName != name || t.Policy.Target != target {
			name, target = t.MetricName, t.Policy.Target
			if err := stream.Send(live.metricSpec()); err != nil {
				return err
			}
			live.calls.note(methodStreamMetricSpec, answer{target: t.Policy.Target}, time.Now())
		}
		select {
		case <-current.over:
		case <-s.draining:
			return nil
		case <-lifetime.C:
			return nil
		case <-stream.Context().Done():
			return toStatus(stream.Context().Err())
		}
	}
}

// openStream counts a stream of a namespace. The error is a status.
func (s *Server) openStream(method string, ref *pb.ScaledObjectRef) (closeStream func(), err error) {
	namespace := ref.GetNamespace()
	if err := s.held.acquire(namespace); err != nil {
		return nil, toStatus(err)
	}
	open := s.streams.WithLabelValues(method)
	open.Inc()
	return func() {
		open.Dec()
		s.held.release(namespace)
	}, nil
}

// shared is ref as another stream of the same trigger holds it already, so that the
// metadata, about a kilobyte, is there once.
func (s *Server) shared(ref *pb.ScaledObjectRef) *pb.ScaledObjectRef {
	if live := s.triggers.find(ref, time.Now()); live != nil {
		return live.ref
	}
	return ref
}

// lifetime is StreamLifetime with a jitter of a tenth either way, so that
// streams that were opened together do not end together.
func (s *Server) lifetime() time.Duration {
	return time.Duration(float64(s.options.StreamLifetime) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // jitter is no secret
}

// The pace of messages on a StreamIsActive.
const (
	// minEdge is the least time between two messages that say active.
	minEdge = time.Second
	// firstRepeat and lastRepeat bound the time until "active" is said again; it
	// doubles each time. KEDA drops a message that comes before it knows the name of
	// the trigger's metric, so saying it once is not enough; and each one costs it a
	// patch of the ScaledObject, so saying it often is too much:
	// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L353
	firstRepeat = 2 * time.Second
	lastRepeat  = 5 * time.Minute
)

// An activity is what a stream has told KEDA so far.
type activity struct {
	// ends is when the stream has lived long enough.
	ends time.Time
	// said is when the last message was sent; zero before the first.
	said   time.Time
	active bool
	// lastActive is when "active" was said last.
	lastActive time.Time
	// repeat is how long after said "active" is said again.
	repeat time.Duration
}

// tell sends the present state if it is news. While a trigger settles after a start it
// may become active, and not inactive.
func (a *activity) tell(
	stream grpc.ServerStreamingServer[pb.IsActiveResponse], decision policy.Decision, settling bool, now time.Time,
) (sent bool, err error) {
	if settling && !decision.Active || !a.update(decision.Active, now) {
		return false, nil
	}
	return true, stream.Send(&pb.IsActiveResponse{Result: decision.Active})
}

// update takes in the present state and tells whether to send it.
func (a *activity) update(active bool, now time.Time) bool {
	edge := a.said.IsZero() || active != a.active
	switch {
	case edge && active && !a.lastActive.IsZero() && now.Sub(a.lastActive) < minEdge:
		return false
	case edge:
		a.repeat = firstRepeat
	case active && now.Sub(a.said) >= a.repeat:
		a.repeat = min(2*a.repeat, lastRepeat)
	default:
		return false
	}
	a.said, a.active = now, active
	if active {
		a.lastActive = now
	}
	return true
}

// idleCheck is how often a stream looks although nothing happened.
const idleCheck = time.Hour

// next is how long until there may be something to say although nothing is read.
func (a *activity) next(decision policy.Decision, now time.Time) time.Duration {
	wait := idleCheck
	if !decision.Until.IsZero() {
		wait = min(wait, decision.Until.Sub(now))
	}
	switch {
	case decision.Active && !a.active:
		wait = min(wait, a.lastActive.Add(minEdge).Sub(now))
	case decision.Active:
		wait = min(wait, a.said.Add(a.repeat).Sub(now))
	}
	return max(wait, 0)
}
