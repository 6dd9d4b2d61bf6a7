package sidekiq

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
)

const (
	// processLife is for how long Sidekiq remembers a process that it does not hear of.
	processLife = time.Minute
	// beatPause is between two heartbeats of a process, at least. It is 5 s before
	// Sidekiq 7, whose third heartbeat then stands for the second.
	// https://github.com/sidekiq/sidekiq/blob/main/lib/sidekiq/launcher.rb, BEAT_PAUSE
	beatPause = 10 * time.Second
	// reportAfter is how much later a heartbeat has to be than another one to report all
	// that was taken before that one was seen. Sidekiq 4 to 8 first copy what their
	// threads work on, write that down, send a PING (since 6.2), and write down the
	// heartbeat with its time last. So the heartbeat that follows may know nothing of a
	// job that was taken while it was on its way. The second one does: it is begun a pause
	// after the first was written. They differ by the process's own clock: the
	// first is a pause later and as long as it took, the second two pauses.
	reportAfter = beatPause + beatPause/2
)

// countInFlight counts the jobs that processes hold, and those that they may hold.
func (q *queue) countInFlight(trips *layout.RoundTrips, r *backlog.Reading, w processWork) {
	inFlight := w.inFlight()
	q.noteLost(trips, w)
	// A process that took jobs may not have reported so yet.
	if q.mayHoldMore(trips, w) || w.unknown || q.unsearched(r, inFlight) {
		inFlight = max(inFlight, 1)
		if r.Quality == backlog.Exact {
			r.Quality = backlog.LowerBound
		}
	}
	r.InFlight = backlog.Exactly(inFlight)
	r.Consumers = backlog.Exactly(int64(len(w.beats)))
	if q.private != nil {
		q.private.markUnseen(r)
	}
	if w.denied {
		r.Quality = max(r.Quality, backlog.LowerBound)
		r.AddWarning(noList)
	}
}

// noteLost notes that a process has disappeared that had jobs, or may have taken some.
func (q *queue) noteLost(trips *layout.RoundTrips, w processWork) {
	now := trips.Now()
	var busy []string
	for process, n := range w.reported {
		if n > 0 {
			busy = append(busy, process)
		}
	}
	trips.Remember(func() { q.busy = busy })
	for _, process := range q.busy {
		if _, alive := w.beats[process]; !alive {
			q.lostAt = now
		}
	}
	for process := range q.lastBeats {
		if _, alive := w.beats[process]; !alive && !q.shrunkAt.IsZero() {
			q.lostAt = now
			delete(q.lastBeats, process)
		}
	}
}

// unsearched reports whether a queue that seems to be empty may have jobs in a private
// list that no search has found yet, because its process was killed before. The next
// search decides.
func (q *queue) unsearched(r *backlog.Reading, inFlight int64) bool {
	return q.private != nil && r.Ready+r.Due+inFlight == 0 && q.private.stale(q.lostAt)
}

// mayHoldMore reports whether a process may have taken a job that it has not reported yet.
// One that has just begun may do so before its first heartbeat, when it is not known.
func (q *queue) mayHoldMore(trips *layout.RoundTrips, w processWork) bool {
	if q.shrunkAt.IsZero() {
		return false
	}
	if q.lastBeats == nil {
		trips.Remember(func() { q.lastBeats = w.beats })
		return true
	}
	now := trips.Now()
	reported := len(w.beats) > 0 || now.Sub(q.shrunkAt) >= reportAfter
	for process, beat := range w.beats {
		before, known := q.lastBeats[process]
		if !known {
			// This is its first heartbeat.
			before = beat.Add(-beatPause)
			q.lastBeats[process] = before
		}
		reported = reported && beat.Sub(before) >= reportAfter
	}
	if reported || now.Sub(q.shrunkAt) > processLife {
		if len(w.beats) == 0 {
			// One that took the jobs may have begun and ended in between.
			q.lostAt = now
		}
		trips.Remember(func() { q.shrunkAt = time.Time{} })
		return false
	}
	return true
}
