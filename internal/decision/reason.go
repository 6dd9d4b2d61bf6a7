package decision

// A Reason is one of a closed set of words for why a decision is not just the backlog.
// Where a key of the trigger causes it, the reason is the name of that key.
type Reason string

// The reasons, in the order in which Decide comes to them.
const (
	// ReasonWeights: the queues of a trigger have different weights.
	ReasonWeights Reason = "weights"
	// ReasonCombine: only the queue with the largest value counts.
	ReasonCombine Reason = "combine"
	// ReasonPaused: the engine delivers nothing, so waiting messages need no worker.
	ReasonPaused Reason = "paused"
	// ReasonMaxAge: the oldest waiting message is older than MaxAge.
	ReasonMaxAge Reason = "maxAge"
	// ReasonDrainTime: arrivals within the drain time count too.
	ReasonDrainTime Reason = "drainTime"
	// ReasonDataReplaced: the data of the server was replaced moments ago; the value before
	// still counts, for MaxStaleness.
	ReasonDataReplaced Reason = "dataReplaced"
	// ReasonHold: a larger value within the hold window still counts.
	ReasonHold Reason = "hold"
	// ReasonHoldActive: there was work within the HoldActive window.
	ReasonHoldActive Reason = "holdActive"
	// ReasonInFlight: work in flight keeps the trigger active.
	ReasonInFlight Reason = "inFlight"
	// ReasonCounterMoved: work passes through a queue that every read finds empty.
	ReasonCounterMoved Reason = "counterMoved"
	// ReasonWarmingUp: the hold window is not yet filled since the program started.
	ReasonWarmingUp Reason = "warmingUp"
	// ReasonDeadband: the value changed by less than a tenth of a replica.
	ReasonDeadband Reason = "deadband"
	// ReasonMinReplicas and ReasonMaxReplicas: the bounds of the trigger.
	ReasonMinReplicas Reason = "minReplicas"
	ReasonMaxReplicas Reason = "maxReplicas"
	// ReasonWorkerLimit: more workers do not help.
	ReasonWorkerLimit Reason = "workerLimit"
	// ReasonStale: the queue cannot be read now; the last good reading is used.
	ReasonStale Reason = "stale"
)

// A ReasonDoc is a Reason with its meaning.
type ReasonDoc struct {
	Reason Reason
	// Doc is the meaning, in one or two sentences.
	Doc string
}

// Reasons lists every reason, in the order in which Decide comes to them.
func Reasons() []ReasonDoc {
	return []ReasonDoc{
		{ReasonWeights, "The queues of the trigger have different `weights`."},
		{ReasonCombine, "Only the queue with the largest value counts (`combine: max`)."},
		{ReasonPaused, "The engine delivers nothing, so waiting messages need no worker. Work in flight still counts."},
		{ReasonMaxAge, "The oldest waiting message is older than `maxAge`, so waiting messages count up to four times."},
		{ReasonDrainTime, "Messages that will arrive within `drainTime` at the current rate count too."},
		{ReasonDataReplaced, "The data of the server was replaced moments ago. The value before still counts, for `maxStaleness`."},
		{ReasonHold, "A larger value within the last `hold` still counts."},
		{ReasonHoldActive, "There was work within the last `holdActive`, so the trigger stays active."},
		{ReasonInFlight, "Work is in flight. It keeps the trigger active although the value does not exceed the activation."},
		{ReasonCounterMoved, "The last read found no work, but a counter of the engine moved within the last `holdActive`, so the trigger stays active."},
		{ReasonWarmingUp, "The scaler started less than a `hold` ago. It reports growth only, and an error in place of anything less."},
		{ReasonDeadband, "The value differs from the last reported one by less than a tenth of a replica, so that one is reported again."},
		{ReasonMinReplicas, "The trigger asks for at least `minReplicas` while it is active."},
		{ReasonMaxReplicas, "The trigger asks for at most `maxReplicas`."},
		{ReasonWorkerLimit, "More workers do not help: the partitions, or a limit of the engine."},
		{ReasonStale, "The queue cannot be read now. The last good reading is used, for `maxStaleness`."},
	}
}
