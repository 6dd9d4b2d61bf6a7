package sampler

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are the times by which a Sampler reads. A zero value takes the default.
type Options struct {
	// SafetyInterval is how often an idle queue is looked at although its source promised
	// to tell when it changes: confirmed where the source can do that, so that it is read
	// only every sixth time once it has been at rest for six, and else read. Default 10 s.
	SafetyInterval time.Duration
	// ActiveInterval is how often a queue with work is read. Default 1 s.
	ActiveInterval time.Duration
	// IdlePoll is how often an idle queue is read whose source cannot tell when it
	// changes and names no interval of its own. Default 250 ms.
	IdlePoll time.Duration
	// WakeInterval is the least time between two reads of one queue. Default 20 ms:
	// the cost of a hot queue is at most 50 reads a second.
	WakeInterval time.Duration
	// ReadTimeout bounds one batch. Default 2 s.
	ReadTimeout time.Duration
	// FirstReading bounds how long a call waits for the first reading of a queue that
	// nobody asked for before. Default 2 s.
	FirstReading time.Duration
	// WatchTTL is how long a queue is read after the last call that asked for it,
	// unless a stream holds it. Default 5 min, ten of KEDA's default polls.
	WatchTTL time.Duration
	// MinBackoff and MaxBackoff bound the time between attempts to read what cannot be
	// read. Defaults 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// Logger gets what happens to connections. Default: discarded.
	Logger *slog.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer

	// started is when the Sampler was made.
	started time.Time
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	set(&o.SafetyInterval, 10*time.Second)
	set(&o.ActiveInterval, time.Second)
	set(&o.IdlePoll, 250*time.Millisecond)
	set(&o.WakeInterval, 20*time.Millisecond)
	set(&o.ReadTimeout, 2*time.Second)
	set(&o.FirstReading, 2*time.Second)
	set(&o.WatchTTL, 5*time.Minute)
	set(&o.MinBackoff, 100*time.Millisecond)
	set(&o.MaxBackoff, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
