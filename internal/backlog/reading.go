package backlog

import "time"

// A Reading is one observation of one queue. It exists only if the engine answered in full: a
// failed or partial read is an error, never a Reading.
type Reading struct {
	// At is when the engine answered.
	At time.Time
	// Ready is the number of messages that a worker could take now.
	Ready int64
	// Due is delayed or retried work whose time has come, but which only a worker moves to
	// where workers take it from.
	Due int64
	// InFlight is work that was handed out and is not acknowledged.
	InFlight Count
	// Measured is the number of a layout that Measures, which counts no messages: its Ready, Due
	// and InFlight are zero.
	Measured Measurement
	// NextDue is when the next delayed message falls due; zero if there is none.
	NextDue time.Time
	// Oldest is the age of the oldest waiting message.
	Oldest Age
	// Enqueued and Dequeued are the engine's own monotonic counters.
	Enqueued, Dequeued Count
	// Passed differs from its previous value if work came or went in between, even if no
	// reading found it: a counter or an id of the engine. Its meaning is the engine's, so it
	// gives no rate. Unknown where there is none, or where it was not read.
	Passed Count
	// Consumers is the number of workers that the engine sees.
	Consumers Count
	// Missing reports that the queue does not exist. All counts are zero then. In many engines
	// an empty queue does not exist, so this is a reading and not an error. The trigger chooses
	// what it means.
	Missing bool
	// Paused reports that the engine hands out nothing at present.
	Paused bool
	// MaxUseful is the number of workers beyond which more cannot help
	// (partitions, a global concurrency limit). Zero is no limit.
	MaxUseful int64
	// Quality is how Ready, Due and InFlight relate to the truth.
	Quality Quality
	// Epoch identifies the data that was read. It changes when another server answers, or when
	// the server was restarted and may have lost its data. Equal epochs mean the same unbroken
	// life of the same data. Empty means unknown.
	Epoch string
	// Orphaned is the number of counted messages that nothing in the framework will move, such
	// as a job of a worker whose heartbeats stopped. Ignored is the number of further ones that
	// no longer count because of a limit of the trigger.
	Orphaned, Ignored int64
	// Warning is a remark about a valid reading that may not be what was meant, such as a
	// consumer group that does not exist yet. It concerns this queue only, because it may reach
	// the author of the trigger, and contains nothing that changes by itself.
	Warning string
	// Hint names what may have been meant instead: other queues or another prefix. These may
	// belong to other tenants, so it is for the operator of the scaler.
	Hint string
	// Workers has, for a query with Workers, whether each worker is busy, by the name of its host.
	// Every busy one is in it: otherwise there is an error and no reading. Idle ones may be
	// missing. It is nil for other queries, and immutable.
	Workers map[string]bool
	// Parts are the queues that this reading sums up, where a query names several (or a
	// pattern, which may match one or none); nil for one queue.
	Parts []Part
}

// Backlog returns all work there is to do now: ready, due and in flight. Messages that are not
// yet due are not backlog.
func (r Reading) Backlog() int64 {
	return r.Ready + r.Due + r.InFlight.N
}

// AddWarning appends a remark to Warning.
func (r *Reading) AddWarning(text string) {
	if r.Warning != "" {
		text = r.Warning + "; " + text
	}
	r.Warning = text
}

// A Count is a number that an engine may not know. The zero value is unknown. N of an unknown
// count is the part that is known, usually zero.
type Count struct {
	N     int64
	Known bool
}

// Exactly returns a known Count of n.
func Exactly(n int64) Count { return Count{N: n, Known: true} }

// An Age is when the oldest waiting message was enqueued, and how that is known.
type Age struct {
	// Since is the moment the message was enqueued; meaningless if Kind is AgeUnknown.
	Since time.Time
	Kind  AgeKind
}

// An AgeKind is the source of an Age.
type AgeKind uint8

// The kinds of an age.
const (
	// AgeUnknown is an age that the engine cannot determine.
	AgeUnknown AgeKind = iota
	// AgeExact is the time that the engine recorded for the message itself.
	AgeExact
	// AgeInterpolated was computed from the engine's counters over time.
	AgeInterpolated
	// AgeLowerBound is when the message was first seen waiting: it is at least that old.
	AgeLowerBound
)

func (k AgeKind) String() string {
	return [...]string{"unknown", "exact", "interpolated", "lower bound"}[k]
}

// Quality is how the counts of a Reading relate to the truth.
type Quality uint8

// The qualities of a reading.
const (
	// Exact counts are the truth at the moment of reading.
	Exact Quality = iota
	// UpperBound counts may be too high, never too low.
	UpperBound
	// LowerBound counts may be too low, never zero when there is work.
	LowerBound
	// Capped counts stopped at a limit: the truth is at least this.
	Capped
)

func (q Quality) String() string {
	return [...]string{"exact", "upper bound", "lower bound", "capped"}[q]
}
