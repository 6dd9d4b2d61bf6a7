package trigger

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Signal is the trigger of a signal of an AutoscalerPolicy.
type Signal struct {
	Trigger

	// Measures reports that the value is a number that is measured, and none of messages.
	Measures bool
	// HasTarget reports that the trigger says how much is for one replica: a target or a drain
	// time.
	HasTarget bool
	// Workers is the query for which workers are busy. NoWorkers is why the queue does not show that;
	// nil if it does.
	Workers   backlog.Query
	NoWorkers error
	// Learned bounds a throughput that is learned; nil for one that is given.
	Learned *Learned
}

// Learned are the bounds of a throughput that is learned, in messages that one replica finishes
// in a second.
type Learned struct{ Floor, Ceiling float64 }

// The keys of a throughput that is learned, which need the replicas that work and so a policy.
const (
	learned              = "learned"
	keyThroughputFloor   = "throughputFloor"
	keyThroughputCeiling = "throughputCeiling"
)

// ParseSignal returns the trigger of a signal in namespace. The error begins with the name of the
// field, is MetadataError, or wraps ErrDenied.
func (c *Catalog) ParseSignal(namespace, connection string, metadata map[string]string) (Signal, error) {
	keys := maps.Clone(metadata)
	if keys == nil {
		keys = make(map[string]string)
	}
	keys[keyConnection] = connection
	var faults MetadataError
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		switch {
		case key == keyMaxStaleness:
			faults.add(key, "want it next to trigger, as the maxStaleness of the signal")
		case strings.HasSuffix(key, fromEnv):
			faults.add(shorten(key), "want the value itself under %s: only KEDA reads the environment of a workload", strings.TrimSuffix(key, fromEnv))
		}
	}
	bounds, err := takeLearned(keys)
	faults = append(faults, err...)
	if len(faults) > 0 {
		return Signal{}, fmt.Errorf("trigger: %w", faults)
	}
	t, parseErr := c.parse(namespace, keys)
	if parseErr != nil {
		if _, ok := c.visible(namespace, strings.TrimSpace(connection)); !ok {
			return Signal{}, parseErr // it is about the connection, which stands next to trigger
		}
		return Signal{}, fmt.Errorf("trigger: %w", parseErr)
	}
	layout, _ := c.Layout(&t)
	if bounds != nil {
		if err := layout.CountsFinished(t.Query); err != nil {
			faults.add(keyThroughput, "cannot be learned: %v; want a number of messages in a second", err)
			return Signal{}, fmt.Errorf("trigger: %w", faults)
		}
	}
	_, target := metadata[keyTarget]
	_, drain := metadata[keyDrainTime]
	return Signal{
		Trigger: t, Measures: layout.Measures, HasTarget: target || drain, Learned: bounds,
		Workers: layout.WorkersQuery(t.Query), NoWorkers: layout.KnowsWorkers(t.Query),
	}, nil
}

// takeLearned removes the keys of a throughput that is learned, and puts the floor in its place:
// where nothing is known of what a replica finishes, the smallest throughput is assumed.
func takeLearned(keys map[string]string) (*Learned, MetadataError) {
	var faults MetadataError
	if strings.TrimSpace(keys[keyThroughput]) != learned {
		for _, key := range []string{keyThroughputFloor, keyThroughputCeiling} {
			if _, set := keys[key]; set {
				faults.add(key, "is for throughput: learned")
			}
		}
		return nil, faults
	}
	bounds := Learned{}
	for key, place := range map[string]*float64{keyThroughputFloor: &bounds.Floor, keyThroughputCeiling: &bounds.Ceiling} {
		value, err := strconv.ParseFloat(strings.TrimSpace(keys[key]), 64)
		switch {
		case keys[key] == "":
			faults.add(key, "required with throughput: learned, want messages in a second, greater than 0")
		case err != nil || !(value > 0) || value > maxTarget:
			faults.add(key, "%s: want messages in a second, greater than 0 and at most %g", shorten(keys[key]), float64(maxTarget))
		}
		*place = value
		delete(keys, key)
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Key, b.Key) })
	if len(faults) == 0 && bounds.Ceiling < bounds.Floor {
		faults.add(keyThroughputCeiling, "%g is less than throughputFloor, which is %g", bounds.Ceiling, bounds.Floor)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	keys[keyThroughput] = strconv.FormatFloat(bounds.Floor, 'g', -1, 64)
	return &bounds, nil
}

// DrainTarget returns the messages that one replica finishes within a drain time.
func DrainTarget(throughput float64, drainTime time.Duration) float64 {
	return min(thousandths(throughput*drainTime.Seconds()), maxTarget)
}
