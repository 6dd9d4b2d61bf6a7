package sampler

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A schedule is a heap of watches, the earliest due first.
type schedule []*watch

// set makes w due at t, because of cause.
func (s *schedule) set(w *watch, t time.Time, cause backlog.Cause) {
	w.due, w.cause = t, cause
	if w.heapIndex >= 0 {
		heap.Fix(s, w.heapIndex)
		return
	}
	heap.Push(s, w)
}

// remove removes w if it is scheduled.
func (s *schedule) remove(w *watch) {
	if w.heapIndex >= 0 {
		heap.Remove(s, w.heapIndex)
	}
}

// takeDue removes and returns the watches that are due at now, at most most of them.
func (s *schedule) takeDue(now time.Time, most int) []*watch {
	var due []*watch
	for len(*s) > 0 && len(due) < most && !(*s)[0].due.After(now) {
		due = append(due, heap.Pop(s).(*watch)) //nolint:errcheck // Push takes nothing else
	}
	return due
}

// Len, Less, Swap, Push and Pop are for container/heap.

func (s schedule) Len() int { return len(s) }

// Less is compareDue.
func (s schedule) Less(i, j int) bool { return compareDue(s[i], s[j]) < 0 }

// compareDue orders watches by when they are due, and those that fall due together by their creation,
// the order in which they lie in memory.
func compareDue(a, b *watch) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.id, b.id)) }

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].heapIndex, s[j].heapIndex = i, j
}

// Push is called by container/heap with a *watch.
func (s *schedule) Push(x any) {
	w := x.(*watch) //nolint:errcheck // set pushes nothing else
	w.heapIndex = len(*s)
	*s = append(*s, w)
}

// Pop is called by container/heap.
func (s *schedule) Pop() any {
	last := len(*s) - 1
	w := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	w.heapIndex = -1
	return w
}
