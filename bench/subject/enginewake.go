package subject

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

const (
	// engineWakes is how many idle queues are written one after the other.
	engineWakes = 200
	// engineCalm is the time from the first messages of the streams to the first write. By then changes of all idle
	// queues are noticed: a connection that listens has heard its probe, and a fetch covers each partition.
	engineCalm = 3 * time.Second
	// wakePause is the least time between two writes: a producer may give 50 hints a second. wakeSpread is added in
	// parts, so that the writes come at any moment between two polls.
	wakePause, wakeSpread = 25 * time.Millisecond, 100 * time.Millisecond
	// wakeLimit is the longest wait for a wake-up: with it, a server that has ended is no endless wait.
	wakeLimit = 3 * time.Minute
	// hintToken is that of the producer.
	hintToken = "producer"
)

// objects returns the ScaledObjects of the queues.
func (q *queueServer) objects() objects {
	all := newObjects(len(q.queues))
	all.lists = q.queues
	for i, ref := range all.refs {
		delete(ref.ScalerMetadata, "list")
		ref.ScalerMetadata[q.layout] = q.queues[i]
		maps.Copy(ref.ScalerMetadata, q.parameters(i))
	}
	return all
}

// wakes measures from the write of a message into an idle queue to the message on its StreamIsActive, and how many
// connections the scaler holds meanwhile.
func (q *queueServer) wakes(ctx context.Context, s *stage) ([]measurement.Measurement, error) {
	settings := q.settings(q.address)
	if q.hinted {
		token, err := s.secret("token", hintToken)
		if err != nil {
			return nil, err
		}
		settings = append(settings, "wakeToken: "+token)
	}
	file, err := s.configure(q.engine, q.address, settings...)
	if err != nil {
		return nil, err
	}
	scaler, err := s.scaler(ctx, file)
	if err != nil {
		return nil, err
	}
	streams, err := watch(ctx, scaler, q.objects())
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, engineCalm); err != nil {
		return nil, err
	}
	var connections float64
	count := func() error {
		n, err := scaler.process.ConnectionsTo(q.brokers...)
		connections = max(connections, float64(n))
		return err
	}
	var times []float64
	for i := range engineWakes {
		if err := count(); err != nil {
			return nil, err
		}
		at := engineBusy + i
		took, err := q.wake(ctx, scaler, at, streams[at])
		if err != nil {
			return nil, err
		}
		times = append(times, milliseconds(took))
		if err := pause(ctx, wakePause+time.Duration(i*37)*time.Millisecond%wakeSpread); err != nil {
			return nil, err
		}
	}
	note := fmt.Sprintf("%s, %d samples, %.3g to %.3g", q.notices, len(times), measurement.Quantile(times, 0), measurement.Quantile(times, 1))
	held := measurement.Alone(q.engine+"_connections", "connections", measurement.AtMost(maxConnections), connections)
	held.Note = fmt.Sprintf("at most, of %d triggers", len(streams))
	return []measurement.Measurement{
		{Name: q.engine + "_wake_p50", Value: measurement.Quantile(times, 0.5), Unit: "ms", Bound: measurement.AtMost(q.limits.p50), Note: note},
		{Name: q.engine + "_wake_p99", Value: measurement.Quantile(times, 0.99), Unit: "ms", Bound: measurement.AtMost(q.limits.p99), Note: note},
		held,
	}, nil
}

// wake writes a message into an idle queue and returns how long it takes until its stream says active.
func (q *queueServer) wake(ctx context.Context, scaler *side, i int, stream activity) (time.Duration, error) {
	began := time.Now()
	if err := q.write(ctx, i); err != nil {
		return 0, fmt.Errorf("write %s: %w", q.queues[i], err)
	}
	if q.hinted {
		if err := scaler.process.Wake(ctx, "shared", q.queues[i], hintToken); err != nil {
			return 0, err
		}
	}
	woken := make(chan error, 1)
	go func() { woken <- become(stream, true) }() // it ends with the stream
	timer := time.NewTimer(wakeLimit)
	defer timer.Stop()
	select {
	case err := <-woken:
		if err != nil {
			return 0, err
		}
	case <-timer.C:
		return 0, fmt.Errorf("wait for %s to become active: not within %s%s", q.queues[i], wakeLimit, q.describe())
	}
	return time.Since(began), nil
}

// describe says how the server is, if that is known.
func (q *queueServer) describe() string {
	if q.state == nil {
		return ""
	}
	return "; the server: " + q.state()
}

// secret writes a secret into a file and returns the value of a setting that names it.
func (s *stage) secret(name, value string) (setting string, err error) {
	file := filepath.Join(s.programs.Dir, name)
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		return "", fmt.Errorf("write a secret: %w", err)
	}
	return fmt.Sprintf("{file: %q}", file), nil
}

// teamQueues are the names of the queues of a server.
func teamQueues() []string {
	names := make([]string, engineQueues)
	for i := range names {
		names[i] = fmt.Sprintf("team-%d-orders", i)
	}
	return names
}

// none is for layouts without parameters.
func none(int) map[string]string { return nil }
