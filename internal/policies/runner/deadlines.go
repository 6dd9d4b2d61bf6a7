package runner

import (
	"container/heap"
	"time"
)

// Deadlines are a heap of policies, the one that is to be decided on first at the top.
type deadlines []*entry

// set makes a policy due at a time.
func (d *deadlines) set(e *entry, at time.Time) {
	e.due = at
	if e.place >= 0 {
		heap.Fix(d, e.place)
		return
	}
	heap.Push(d, e)
}

// remove removes a policy if it is scheduled.
func (d *deadlines) remove(e *entry) {
	if e.place >= 0 {
		heap.Remove(d, e.place)
	}
}

// next returns the policy that is due first; nil if there is none.
func (d deadlines) next() *entry {
	if len(d) == 0 {
		return nil
	}
	return d[0]
}

// Len, Less, Swap, Push and Pop are for container/heap.

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].due.Before(d[j].due) }

func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

// Push is called by container/heap with an *entry.
func (d *deadlines) Push(x any) {
	e := x.(*entry) //nolint:errcheck // set pushes nothing else
	e.place = len(*d)
	*d = append(*d, e)
}

// Pop is called by container/heap.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	e.place = -1
	return e
}
