package app

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// reloads records the outcome of each reload of the configuration.
type reloads struct {
	successful, timestamp prometheus.Gauge
	fault                 atomic.Pointer[error]
}

func newReloads(registerer prometheus.Registerer) *reloads {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "backlog_scaler", Subsystem: "config", Name: name, Help: help})
	}
	r := &reloads{
		successful: gauge("last_reload_successful", "1 if the last reload of the configuration file succeeded, else 0."),
		timestamp:  gauge("last_reload_success_timestamp_seconds", "Time of the last successful reload of the configuration file, in seconds since 1970."),
	}
	registerer.MustRegister(r.successful, r.timestamp)
	r.Reloaded(nil)
	return r
}

// Reloaded records the outcome of a reload.
func (r *reloads) Reloaded(err error) {
	r.fault.Store(&err)
	if err != nil {
		r.successful.Set(0)
		return
	}
	r.successful.Set(1)
	r.timestamp.SetToCurrentTime()
}

// Fault returns the error of the last reload; nil if it succeeded.
func (r *reloads) Fault() error { return *r.fault.Load() }
