package sampler

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are the intervals and bounds of a Sampler. A zero value means the default.
type Options struct {
	// SafetyInterval is the interval at which idle queues are verified although their source
	// notifies of changes. Where the source can confirm them, an idle queue is read only every
	// sixth interval, once it has been idle for six. Default 10 s.
	SafetyInterval time.Duration
	// ActiveInterval is the interval at which a queue with work is read. Default 1 s.
	ActiveInterval time.Duration
	// IdlePoll is the interval at which an idle queue is read if its source cannot notify of
	// changes and has no interval of its own. Default 250 ms.
	IdlePoll time.Duration
	// WakeInterval is the shortest time between two reads of one queue. Default 20 ms: a hot
	// queue costs at most 50 reads a second.
	WakeInterval time.Duration
	// ReadTimeout bounds one batch. Default 2 s.
	ReadTimeout time.Duration
	// FirstReading bounds how long a call waits for the first reading of a queue. Default 2 s.
	FirstReading time.Duration
	// WatchTTL is how long a queue is read after the last call that requested it, unless a
	// stream holds it. Default 5 min, ten of KEDA's default polls.
	WatchTTL time.Duration
	// MinBackoff and MaxBackoff bound the time between attempts after failed reads. Defaults
	// 100 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// Logger receives changes of the state of connections. Default: discarded.
	Logger *slog.Logger
	// Registerer receives the metrics. Default: none.
	Registerer prometheus.Registerer

	// started is when the Sampler was created.
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
