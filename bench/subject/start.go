package subject

import (
	"context"
	"errors"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

const (
	// startRounds is how often each side is started.
	startRounds = 21
	// startReady bounds the time until the scaler is ready by that of the baseline, which has one client library, and
	// not one for each engine: five of them take 1 ms of 10. startMemory bounds what it occupies of its own while idle,
	// in megabytes. Next to it the system maps parts of the program's file, 22 to 33 MB: as many
	// as it holds in memory anyway, and it takes them back when memory is short.
	startReady, startMemory = 2.5, 10
)

// Start starts both sides again and again, without any trigger and without policies: how soon each is ready, and
// how much memory it takes while nothing happens.
func Start(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return result, err
	}
	var ready, occupied, anonymous, held measurement.Rounds
	for n := range startRounds {
		var own, least started
		err := measurement.InTurns(n,
			func() (err error) {
				own, err = s.startOnce(ctx, func(s *stage) (*side, error) { return s.ours(ctx, r) })
				return err
			},
			func() (err error) {
				least, err = s.startOnce(ctx, func(s *stage) (*side, error) { return s.baseline(ctx) })
				return err
			},
		)
		if err != nil {
			return result, err
		}
		ready.Add(own.ready, least.ready)
		occupied.Add(own.occupied, least.occupied)
		anonymous.Add(own.anonymous, least.anonymous)
		held.Add(own.held, least.held)
	}
	result.Measurements = []measurement.Measurement{
		ready.Measurement("start_ready", "ms", measurement.RatioAtMost(startReady)),
		occupied.Measurement("start_memory_process", "MB", measurement.Bound{}),
		anonymous.Measurement("start_memory_anonymous", "MB", measurement.AtMost(startMemory)),
		held.Measurement("start_memory_held", "MB", measurement.Bound{}),
	}
	return result, nil
}

// A started is how one side did: the milliseconds until it was ready, and the megabytes that it occupies, with and
// without the file of the program, by the operating system, and holds, by its own account, once it has collected its
// garbage.
type started struct{ ready, occupied, anonymous, held float64 }

// startOnce starts a side, and ends it again.
func (s *stage) startOnce(ctx context.Context, start func(*stage) (*side, error)) (result started, err error) {
	own := &stage{programs: s.programs}
	defer func() { err = errors.Join(err, own.close()) }()
	server, err := start(own)
	if err != nil {
		return result, err
	}
	result.ready = milliseconds(server.process.Ready)
	occupied, err := server.settled(ctx)
	if err != nil {
		return result, err
	}
	anonymous, err := server.process.Anonymous()
	if err != nil {
		return result, err
	}
	held, err := server.process.Held(ctx)
	result.occupied, result.anonymous, result.held = occupied/1e6, anonymous/1e6, held/1e6
	return result, err
}
