package subject

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
)

const (
	// wakeSamples is how many writes are timed one after the other, each to another list.
	wakeSamples = 1000
	// storms is how often all lists are written at once.
	storms = 5
	// calm is how long a storm is over before the next: a stream says active at most
	// once a second.
	calm = 1200 * time.Millisecond
)

// Wake measures from the write of a message into an idle list to the message on its
// StreamIsActive, with as many idle lists watched. The baseline is the message
// of Redis that the list changed.
func Wake(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return result, err
	}
	all := newObjects(triggers)
	ours, err := s.ours(ctx, r)
	if err != nil {
		return result, err
	}
	streams, err := watch(ctx, ours, all)
	if err != nil {
		return result, err
	}
	bare, err := r.Subscribe(ctx, 2*triggers)
	s.endings = append(s.endings, bare.Close)
	if err != nil {
		return result, err
	}
	measurements, err := wakeOne(ctx, r, all, streams, bare)
	if err != nil {
		return result, err
	}
	result.Measurements = measurements
	storm, err := wakeAll(ctx, r, all, streams, bare)
	if err != nil {
		return result, err
	}
	result.Measurements = append(result.Measurements, storm)
	return result, nil
}

// wakeOne writes one list after the other.
func wakeOne(ctx context.Context, r *redisserver.Server, all objects, streams []activity, bare *redisserver.Subscriber) ([]measurement.Measurement, error) {
	var own, least []float64
	for i := range wakeSamples {
		took, err := wakeUp(ctx, r, all.lists[i], streams[i])
		if err != nil {
			return nil, err
		}
		own = append(own, milliseconds(took))
		if took, err = bare.Time(ctx, "bare:"+all.lists[i]); err != nil {
			return nil, err
		}
		least = append(least, milliseconds(took))
	}
	if err := r.Pop(ctx, all.lists[:wakeSamples]); err != nil {
		return nil, err
	}
	for _, stream := range streams[:wakeSamples] {
		if err := become(stream, false); err != nil {
			return nil, err
		}
	}
	var measurements []measurement.Measurement
	for _, part := range []struct {
		name  string
		of    float64
		bound float64
	}{{"wake_p50", 0.5, 1}, {"wake_p99", 0.99, 5}} {
		baseline := measurement.Quantile(least, part.of)
		value := measurement.Quantile(own, part.of)
		ratio := value / baseline
		measurements = append(measurements, measurement.Measurement{
			Name: part.name, Value: value, Unit: "ms", Ratio: &ratio, Bound: measurement.AtMost(part.bound),
			Note: fmt.Sprintf("redis alone %.3g ms, %d samples, %.3g to %.3g", baseline, len(own), measurement.Quantile(own, 0), measurement.Quantile(own, 1)),
		})
	}
	return measurements, nil
}

// wakeUp writes a message into a list and returns how long it takes until its stream
// says active.
func wakeUp(ctx context.Context, r *redisserver.Server, list string, stream activity) (time.Duration, error) {
	began := time.Now()
	if err := r.Client.RPush(ctx, list, "x").Err(); err != nil {
		return 0, fmt.Errorf("write %s: %w", list, err)
	}
	if err := become(stream, true); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// wakeAll writes all lists at once.
func wakeAll(ctx context.Context, r *redisserver.Server, all objects, streams []activity, bare *redisserver.Subscriber) (measurement.Measurement, error) {
	var rounds measurement.Rounds
	keys := make([]string, len(all.lists))
	for i, list := range all.lists {
		keys[i] = "bare:" + list
	}
	for range storms {
		least, err := bare.Storm(ctx, keys)
		if err != nil {
			return measurement.Measurement{}, err
		}
		if err := pause(ctx, calm); err != nil {
			return measurement.Measurement{}, err
		}
		said := make(chan error, 1)
		go func() {
			said <- each(len(streams), len(streams), func(i int) error { return become(streams[i], true) })
		}()
		began := time.Now()
		if err := r.Push(ctx, all.lists); err != nil {
			return measurement.Measurement{}, err
		}
		if err := <-said; err != nil {
			return measurement.Measurement{}, err
		}
		rounds.Add(milliseconds(time.Since(began)), milliseconds(least))
		if err := r.Pop(ctx, all.lists); err != nil {
			return measurement.Measurement{}, err
		}
		for _, stream := range streams {
			if err := become(stream, false); err != nil {
				return measurement.Measurement{}, err
			}
		}
	}
	return rounds.Measurement("wake_storm", "ms", measurement.AtMost(500)), nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
