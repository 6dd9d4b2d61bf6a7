package kube

import "time"

// The bounds of a contest for the replicas of a workload.
const (
	// contestAfter is the number of foreign changes within contestWithin that make a contest.
	contestAfter  = 3
	contestWithin = 10 * time.Minute
	// contestPause is the time between two writes in a contest.
	contestPause = time.Minute
)

// A contest notes when another writer changes replicas that this replica has written. Its zero
// value is ready to use.
type contest struct {
	// replicas were written at a time, and no other number was seen since if standing is set.
	replicas int32
	at       time.Time
	standing bool
	// foreign are the times of the last foreign changes, oldest first, and manager is the field
	// manager of the last one.
	foreign []time.Time
	manager string
}

// see notes the replicas of the workload and the field manager that wrote them last.
func (c *contest) see(replicas int32, manager string, now time.Time) {
	if !c.standing || replicas == c.replicas {
		return
	}
	c.standing = false
	if manager == fieldManager {
		return
	}
	c.manager = manager
	c.foreign = append(c.foreign, now)
	if len(c.foreign) > contestAfter {
		c.foreign = c.foreign[1:]
	}
}

// wrote notes that replicas were written.
func (c *contest) wrote(replicas int32, now time.Time) {
	c.replicas, c.at, c.standing = replicas, now, true
}

// contested reports whether another writer changes the replicas again and again.
func (c *contest) contested(now time.Time) bool {
	return len(c.foreign) == contestAfter && now.Sub(c.foreign[0]) < contestWithin
}

// pause returns for how long not to write.
func (c *contest) pause(now time.Time) time.Duration {
	if !c.contested(now) {
		return 0
	}
	return max(0, c.at.Add(contestPause).Sub(now))
}
