package subject

import (
	"context"
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

const (
	// streamRounds is how often each side is started.
	streamRounds = 5
	// podMemory is what the whole program may take, in bytes.
	podMemory = 400_000_000
)

// Streams starts both sides again and again, lets all streams come back, as
// after a restart, and looks at the memory that they take.
func Streams(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return result, err
	}
	all := newObjects(triggers)
	var live, each measurement.Rounds
	var whole []float64
	for range streamRounds {
		own, err := s.restart(ctx, all, func(s *stage) (*side, error) { return s.ours(ctx, r) })
		if err != nil {
			return result, err
		}
		least, err := s.restart(ctx, all, func(s *stage) (*side, error) { return s.baseline(ctx) })
		if err != nil {
			return result, err
		}
		live.Add(own.live, least.live)
		each.Add(own.each, least.each)
		whole = append(whole, own.whole)
	}
	result.Measurements = []measurement.Measurement{
		each.Measurement("streams_memory_each", "kB", measurement.RatioAtMost(1.3)),
		measurement.Alone("streams_memory_process", "MB", measurement.AtMost(podMemory/1e6), whole...),
		live.Measurement("start_live", "ms", measurement.Bound{}),
	}
	return result, nil
}

// A restarted is how one side did.
type restarted struct {
	// live is the milliseconds from the start of the program until the last stream has
	// its first message.
	live float64
	// each is the kilobytes that a ScaledObject with both streams holds, whole the
	// megabytes that the program occupies.
	each, whole float64
}

func (s *stage) restart(ctx context.Context, all objects, start func(*stage) (*side, error)) (result restarted, err error) {
	own := &stage{programs: s.programs, memoryLimit: podMemory}
	defer func() { err = errors.Join(err, own.close()) }()
	streams, cancel := context.WithCancel(ctx)
	defer cancel()
	server, err := start(own)
	if err != nil {
		return result, err
	}
	before, err := server.process.Held(ctx)
	if err != nil {
		return result, err
	}
	opening := time.Now()
	if _, err := hold(streams, server, all); err != nil {
		return result, err
	}
	result.live = milliseconds(server.process.Ready + time.Since(opening))
	after, err := server.process.Held(ctx)
	if err != nil {
		return result, err
	}
	result.each = (after - before) / 1e3 / float64(len(all.refs))
	whole, err := server.process.Resident()
	result.whole = whole / 1e6
	return result, err
}
