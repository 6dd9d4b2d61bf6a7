package node

import "time"

// A Tracker knows what is read from each key.
type Tracker interface {
	// Invalidate notes that keys have changed, and wakes what is read from them. It returns
	// how many wake-ups followed on one that bore no fruit: what was read because of it was
	// as before.
	Invalidate(keys []string, now time.Time) (fruitless int)
	// Len returns how many keys are tracked.
	Len() int
}

// A Waker has keys read again although no change of them was reported.
type Waker interface {
	// WakeKey wakes what is read from a key whose changes are reported from now on.
	WakeKey(key string)
	// WakeAll wakes everything, because any key may have changed.
	WakeAll()
}
