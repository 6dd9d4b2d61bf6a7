package policy

// A Reason is one of a closed set of words for what changed a decision.
type Reason string

// The reasons, in the order in which Decide comes to them.
const (
	// Weighted: the queues of a trigger do not all weigh the same.
	Weighted Reason = "weighted"
	// Largest: of several queues the one that asks for the most counts alone.
	Largest Reason = "largest"
	// Paused: the engine hands out nothing, so waiting messages need no worker.
	Paused Reason = "paused"
	// Aged: the oldest waiting message waits for longer than MaxAge.
	Aged Reason = "aged"
	// Arriving: what arrives within the drain time counts too.
	Arriving Reason = "arriving"
	// Restarted: the server's data was replaced moments ago; what was known before
	// still counts, for MaxStaleness.
	Restarted Reason = "restarted"
	// Held: a larger value within the hold window still counts.
	Held Reason = "held"
	// HeldActive: there was work within the window of HoldActive.
	HeldActive Reason = "heldActive"
	// Working: work in flight keeps the trigger active.
	Working Reason = "working"
	// Receiving: work passes through a queue that is drained at every look.
	Receiving Reason = "receiving"
	// Settling: the hold window is not filled yet since the program started.
	Settling Reason = "settling"
	// Steadied: a change of less than a tenth of a replica is not told.
	Steadied Reason = "steadied"
	// Floored and Limited: the trigger's own bounds.
	Floored Reason = "floored"
	Limited Reason = "limited"
	// Capped: more workers than this cannot help.
	Capped Reason = "capped"
	// Bridged: the queue cannot be read now; the last good reading stands in.
	Bridged Reason = "bridged"
)

// A ReasonDoc is a Reason with what it means.
type ReasonDoc struct {
	Reason Reason
	// Doc is one sentence.
	Doc string
}

// Reasons lists every reason, in the order in which Decide comes to them.
func Reasons() []ReasonDoc {
	return []ReasonDoc{
		{Weighted, "The queues of the trigger do not weigh the same (`weights`)."},
		{Largest, "Of several queues the one that asks for the most counts alone (`combine: max`)."},
		{Paused, "The engine hands out nothing, so messages that wait need no worker; work in flight still counts."},
		{Aged, "The oldest waiting message waits for longer than `maxAge`, so what waits counts up to four times."},
		{Arriving, "What will arrive within `drainTime` at the present rate counts too."},
		{Restarted, "The server's data was replaced moments ago; what was known before still counts, for `maxStaleness`."},
		{Held, "A larger value of the last `hold` still counts."},
		{HeldActive, "There was work within the last `holdActive`, so the trigger stays active."},
		{Working, "Work is in flight, which keeps the trigger active although it is not part of the value, or not enough."},
		{Receiving, "Nothing was waiting at the last look, but a counter of the engine told of work within the last `holdActive`, so the trigger stays active."},
		{Settling, "The scaler started less than a `hold` ago, so it tells growth only, and an error in place of anything less."},
		{Steadied, "The value differs from the one told last by less than a tenth of a replica, so that one is told again."},
		{Floored, "The trigger asks for no fewer than `minReplicas` while it is active."},
		{Limited, "The trigger asks for no more than `maxReplicas`."},
		{Capped, "More workers than this cannot help: partitions, or a limit that the engine keeps."},
		{Bridged, "The queue cannot be read now; the last good reading stands in, for `maxStaleness`."},
	}
}
