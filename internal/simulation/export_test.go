package simulation

import "time"

// KeepingWaits returns options that keep all waits in an outcome.
func (o Options) KeepingWaits() Options {
	o.keepWaits = true
	return o
}

// AllWaits returns the waits that were kept, ascending.
func (o *Outcome) AllWaits() []time.Duration { return o.waits }

// SyncTime is how long a sync takes.
const SyncTime = syncTime
