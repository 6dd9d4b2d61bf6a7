package server

import (
	"errors"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"

	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/decision/push"
)

// StreamIsActive sends whether the trigger is active: the state at the start, and each change
// at once. A queue that cannot be read changes nothing. The stream ends with EOF when the
// server drains or after StreamLifetime.
func (s *Server) StreamIsActive(ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	if err := s.openStream("StreamIsActive", ref); err != nil {
		return err
	}
	ref = s.shared(ref)
	defer s.closeStream("StreamIsActive", ref)
	sent := activity{ends: time.Now().Add(s.lifetimes.draw())}
	for {
		again, err := s.streamActivity(ref, stream, &sent)
		if err != nil {
			s.errorLog.record(stream.Context(), "StreamIsActive", ref, err)
		}
		if err != nil || !again {
			return err
		}
	}
}

// streamActivity serves a stream while one configuration is in force.
func (s *Server) streamActivity(
	ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse], sent *activity,
) (again bool, err error) {
	current := s.generation.Load()
	live, err := s.resolve(ref, methodStreamIsActive)
	if err != nil {
		return false, toStatus(err)
	}
	feed, err := s.follow(live)
	if err != nil {
		return false, toStatus(live.explain(err))
	}
	defer feed.Close()
	live.streams.Add(1)
	defer live.streams.Add(-1)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if !now.Before(sent.ends) {
			return false, nil
		}
		wait, err := live.report(feed, stream, sent, now)
		if err != nil {
			return false, err
		}
		timer.Reset(wait)
		select {
		case <-feed.Changed():
			if feed.Gone() {
				return false, toStatus(live.explain(errConnectionRemoved))
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

// report sends the state of the trigger if it is news, and returns when to call it again. It
// is a function of its own because of the stacks of idle streams: Go shrinks them to 8 KiB
// if less than 4 are in use, so no frame of a waiting stream may hold an observation.
func (t *liveTrigger) report(
	feed feed, stream grpc.ServerStreamingServer[pb.IsActiveResponse], sent *activity, now time.Time,
) (wait time.Duration, err error) {
	wait = sent.ends.Sub(now)
	d, err := feed.decide(now)
	warmingUp := errors.Is(err, decision.ErrWarmingUp)
	if err != nil && !warmingUp {
		return wait, nil
	}
	// While it warms up, a trigger may become active and not inactive.
	if (d.Active || !warmingUp) && sent.Update(d.Active, now) {
		if err := stream.Send(&pb.IsActiveResponse{Result: d.Active}); err != nil {
			return 0, err
		}
		t.calls.record(methodStreamIsActive, response{active: d.Active}, now)
	}
	return min(wait, sent.Next(d, now)), nil
}

// errConnectionRemoved ends the streams of a connection that is no longer configured.
var errConnectionRemoved = errors.New("the connection was removed from the scaler's configuration")

// StreamMetricSpec sends the trigger's target at the start and when it changes.
// It ends as StreamIsActive does.
func (s *Server) StreamMetricSpec(ref *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.GetMetricSpecResponse]) error {
	if err := s.openStream("StreamMetricSpec", ref); err != nil {
		return err
	}
	ref = s.shared(ref)
	defer s.closeStream("StreamMetricSpec", ref)
	over := s.lifetimes.begin()
	var name string
	var target float64
	for {
		current := s.generation.Load()
		live, err := s.resolve(ref, methodStreamMetricSpec)
		if err != nil {
			return toStatus(err)
		}
		// KEDA reconciles the ScaledObject at every message, so an unchanged target is not
		// sent again:
		// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L149
		if t := &live.trigger; t.MetricName != name || t.Policy.Target != target {
			name, target = t.MetricName, t.Policy.Target
			if err := stream.Send(live.metricSpec()); err != nil {
				return err
			}
			live.calls.record(methodStreamMetricSpec, response{target: t.Policy.Target}, time.Now())
		}
		select {
		case <-current.over:
		case <-s.draining:
			return nil
		case <-over:
			return nil
		case <-stream.Context().Done():
			return toStatus(stream.Context().Err())
		}
	}
}

// openStream counts a stream of a namespace until closeStream is called. The error is a status.
func (s *Server) openStream(method string, ref *pb.ScaledObjectRef) error {
	if err := s.openStreams.acquire(ref.GetNamespace()); err != nil {
		return toStatus(err)
	}
	s.streams.WithLabelValues(method).Inc()
	return nil
}

func (s *Server) closeStream(method string, ref *pb.ScaledObjectRef) {
	s.streams.WithLabelValues(method).Dec()
	s.openStreams.release(ref.GetNamespace())
}

// shared returns the reference that the trigger holds already, so that the metadata, about a
// kilobyte, is in memory once.
func (s *Server) shared(ref *pb.ScaledObjectRef) *pb.ScaledObjectRef {
	if live := s.triggers.find(ref, time.Now()); live != nil {
		return live.ref
	}
	return ref
}

// An activity is the pace of a StreamIsActive, and when it ends.
type activity struct {
	push.Activity

	ends time.Time
}
