package measure

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

// EndToEnd has both triggers on one control plane with one Redis and measures from the write of messages to the replicas.
func EndToEnd(ctx context.Context, programs Programs) (measurements []measurement.Measurement, err error) {
	ours, ctx, err := start(ctx, programs, "endtoend", true)
	defer func() { err = errors.Join(because(ctx, err), ours.Close()) }()
	if err != nil {
		return nil, err
	}
	theirs := &Side{Stage: ours.Stage, Redis: ours.Redis}
	measurements, err = Activation(ctx, ours, theirs, func(format string, arguments ...any) {
		fmt.Fprintf(programs.Progress, format+"\n", arguments...)
	})
	if err != nil {
		return nil, err
	}
	// Nothing of these is a matter of milliseconds, so they may share the machine.
	var standard measurement.Measurement
	var journeys []measurement.Measurement
	group, sharing := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		standard, err = AtDefault(sharing, theirs, measurements[0])
		return err
	})
	group.Go(func() (err error) {
		journeys, err = OutAndIn(sharing, ours, theirs)
		return err
	})
	err = group.Wait()
	return append(append(measurements, standard), journeys...), err
}
