package schedule

import (
	"slices"
	"time"
)

// A State is what a schedule says at one moment.
type State struct {
	// Floor and Ceiling are the bounds of the replicas. Of the open windows those with the
	// highest priority count, for each bound on its own: of the floors the largest, of the
	// ceilings the smallest.
	Floor, Ceiling Bound
	// Conflict reports that the floor is above the ceiling. The ceiling then counts.
	Conflict bool
	// Open are the names of the open windows, in the order of the schedule.
	Open []string
	// Next is the next edge of a window; its Window is empty if there is none, or if a window
	// recurs so densely that its end is not known yet.
	Next Edge
	// Until is when the bounds may change: an edge, or a step of a ramp. Zero if they never
	// change.
	Until time.Time

	// at is the moment of the state; of is the first window of its schedule, and identifies it.
	at time.Time
	of *window
}

// A Bound is a floor or a ceiling.
type Bound struct {
	// Window is the name of the window that sets it; empty if there is no bound. Of several
	// with the same bound it is the first by name.
	Window string
	// Replicas is the bound.
	Replicas int32
	// Ramping reports that the window is not open yet, and its floor rises.
	Ramping bool

	priority int32
}

// Set reports whether there is a bound.
func (b Bound) Set() bool { return b.Window != "" }

// An Edge is when a window opens or closes.
type Edge struct {
	Window string
	At     time.Time
	Opens  bool
}

// At returns the state at a moment. It holds until State.Until.
//
// Worked example: office hours have a floor of 10 from 07:00 with a ramp of 15 minutes. At
// 06:45 the floor is 1. Another replica follows each 90 seconds. At 06:58:30 it is 10, so that
// the last one has 90 seconds to start.
func (s Schedule) At(now time.Time) State {
	if s.Empty() {
		return State{}
	}
	state := State{at: now, of: s.windows[0]}
	var ramps []Bound
	var openUntil time.Time // the first end that is not known yet
	for _, w := range s.windows {
		if open, isOpen := w.open(now); isOpen {
			state.Open = append(state.Open, w.Name)
			state.add(w)
			end, isKnown := w.closes(open, maxMerged)
			switch {
			case isKnown:
				state.edge(Edge{Window: w.Name, At: end})
			case openUntil.IsZero() || end.Before(openUntil):
				openUntil = end
			}
			continue
		}
		start := w.next(now)
		state.edge(Edge{Window: w.Name, At: start, Opens: true})
		ramp, changes := w.ramp(now, start)
		state.changesAt(changes)
		if ramp.Set() {
			ramps = append(ramps, ramp)
		}
	}
	state.changesAt(openUntil)
	if !openUntil.IsZero() && !state.Next.At.Before(openUntil) {
		state.Next = Edge{}
	}
	state.addRamps(ramps)
	state.Conflict = state.Floor.Set() && state.Ceiling.Set() && state.Floor.Replicas > state.Ceiling.Replicas
	return state
}

// Refresh returns the state at a moment, like At. It returns the last state if that is of the same
// schedule and still holds, because At costs tens of microseconds for each window.
func (s Schedule) Refresh(last State, now time.Time) State {
	holds := !now.Before(last.at) && (last.Until.IsZero() || now.Before(last.Until))
	if holds && !s.Empty() && last.of == s.windows[0] {
		return last
	}
	return s.At(now)
}

// add adds the bounds of an open window.
func (s *State) add(w *window) {
	if w.floor != nil {
		s.Floor = s.Floor.or(Bound{Window: w.Name, Replicas: *w.floor, priority: w.Priority}, 1)
	}
	if w.ceiling != nil {
		s.Ceiling = s.Ceiling.or(Bound{Window: w.Name, Replicas: *w.ceiling, priority: w.Priority}, -1)
	}
}

// or returns the bound that counts of two. direction is 1 if the larger one does.
func (b Bound) or(other Bound, direction int64) Bound {
	difference := direction * (int64(other.Replicas) - int64(b.Replicas))
	switch {
	case !b.Set() || other.priority > b.priority:
		return other
	case other.priority < b.priority || difference < 0:
		return b
	case difference > 0 || other.Window < b.Window:
		return other
	}
	return b
}

// addRamps raises the floor by the ramps of windows that will open. A ramp prepares for its
// window: it never replaces the floor of an open one, and it does not count below the priority
// of that floor, because then its window would not count either.
func (s *State) addRamps(ramps []Bound) {
	open := s.Floor
	slices.SortFunc(ramps, func(a, b Bound) int { return int(b.Replicas) - int(a.Replicas) })
	for _, ramp := range ramps {
		if open.Set() && ramp.priority < open.priority {
			continue
		}
		ramp.priority = s.Floor.priority
		s.Floor = s.Floor.or(ramp, 1)
	}
}

// edge notes an edge of a window. Of several at the same moment the first by name is the next.
func (s *State) edge(e Edge) {
	if e.At.IsZero() {
		return
	}
	s.changesAt(e.At)
	order := e.At.Compare(s.Next.At)
	if s.Next.Window == "" || order < 0 || order == 0 && e.Window < s.Next.Window {
		s.Next = e
	}
}

// changesAt notes that the bounds may change at t.
func (s *State) changesAt(t time.Time) {
	if !t.IsZero() && (s.Until.IsZero() || t.Before(s.Until)) {
		s.Until = t
	}
}

// ramp returns the floor of a window that opens at start, while its ramp lasts, and the moment
// at which that changes. The Bound is not set before the ramp.
func (w *window) ramp(now, start time.Time) (floor Bound, changes time.Time) {
	if start.IsZero() || w.Ramp == 0 || *w.floor == 0 {
		return Bound{}, time.Time{}
	}
	begin := start.Add(-w.Ramp)
	if now.Before(begin) {
		return Bound{}, begin
	}
	// Milliseconds keep the products within an int64: 24 h times the largest int32 fits.
	replicas, ramp := int64(*w.floor), w.Ramp.Milliseconds()
	step := now.Sub(begin).Milliseconds() * replicas / ramp
	next := ((step+1)*ramp + replicas - 1) / replicas
	reached := min(step+1, replicas)
	return Bound{Window: w.Name, Replicas: int32(reached), Ramping: true, priority: w.Priority}, //nolint:gosec // at most the floor
		begin.Add(time.Duration(next) * time.Millisecond)
}
