package sidekiq

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
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

// finish completes a reading by what the processes reported.
func (s *queueStep) finish(reading backlog.Reading, w processWork, now time.Time) layout.Outcome {
	inFlight := w.inFlight()
	s.noteLost(w, now)
	// A process that took jobs may not have reported so yet.
	if s.mayHoldMore(w, now) || w.unknown || s.unsearched(reading, inFlight) {
		inFlight = max(inFlight, 1)
		if reading.Quality == backlog.Exact {
			reading.Quality = backlog.LowerBound
		}
	}
	reading.InFlight = backlog.Exactly(inFlight)
	reading.Consumers = backlog.Exactly(int64(len(w.beats)))
	if s.private != nil {
		s.private.markUnseen(&reading)
	}
	if w.denied {
		reading.Quality = max(reading.Quality, backlog.LowerBound)
		reading.AddWarning(noList)
	}
	if reading.Backlog() == 0 && reading.NextDue.IsZero() {
		return s.registry.Ask(reading)
	}
	return layout.Done(reading)
}

// noteLost notes that a process has disappeared that had jobs, or may have taken some.
func (s *queueStep) noteLost(w processWork, now time.Time) {
	for _, process := range s.busy {
		if _, alive := w.beats[process]; !alive {
			s.lostAt = now
		}
	}
	for process := range s.lastBeats {
		if _, alive := w.beats[process]; !alive && !s.shrunkAt.IsZero() {
			s.lostAt = now
			delete(s.lastBeats, process)
		}
	}
	s.busy = s.busy[:0]
	for process, n := range w.reported {
		if n > 0 {
			s.busy = append(s.busy, process)
		}
	}
}

// unsearched reports whether a queue that seems to be empty may have jobs in a private
// list that no search has found yet, because its process was killed before. The next
// search decides.
func (s *queueStep) unsearched(r backlog.Reading, inFlight int64) bool {
	return s.private != nil && r.Ready+r.Due+inFlight == 0 && s.private.stale(s.lostAt)
}

// mayHoldMore reports whether a process may have taken a job that it has not reported yet.
// One that has just begun may do so before its first heartbeat, when it is not known.
func (s *queueStep) mayHoldMore(w processWork, now time.Time) bool {
	switch {
	case s.shrunkAt.IsZero():
		return false
	case s.lastBeats == nil:
		s.lastBeats = w.beats
		return true
	}
	reported := len(w.beats) > 0 || now.Sub(s.shrunkAt) >= reportAfter
	for process, beat := range w.beats {
		before, known := s.lastBeats[process]
		if !known {
			// This is its first heartbeat.
			before = beat.Add(-beatPause)
			s.lastBeats[process] = before
		}
		reported = reported && beat.Sub(before) >= reportAfter
	}
	if reported || now.Sub(s.shrunkAt) > processLife {
		if len(w.beats) == 0 {
			// One that took the jobs may have begun and ended in between.
			s.lostAt = now
		}
		s.shrunkAt = time.Time{}
		return false
	}
	return true
}

// workKeys are the ends of the keys in which a process reports what it works on:
// that of Sidekiq 6.4.2 and later, and that of the versions before.
// https://github.com/sidekiq/sidekiq/blob/v6.4.1/lib/sidekiq/launcher.rb, workers_key
var workKeys = [...]string{":work", ":workers"} //nolint:gochecknoglobals // a constant

// A workStep asks the processes what they work on, and for the private lists.
type workStep struct {
	*queueStep
	reading   backlog.Reading
	processes []string
	lists     []privateList
	// denied says that the server does not allow to read which private lists there are.
	denied bool
	// truncated says that there are more processes with private lists.
	truncated bool
}

// addLists takes the reply about the processes with super_fetch, if they were asked for.
func (s *workStep) addLists(c *resp.Decoder) {
	if s.private == nil {
		return
	}
	var processes []string
	if s.denied = !c.Allowed(); !s.denied {
		processes = c.Strings(-1)
	}
	s.truncated = len(processes) == maxProcesses
	s.lists = s.private.with(processes)
}

// Commands implements layout.Step.
func (s *workStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, process := range s.processes {
		key := s.prefix + process
		for _, end := range workKeys {
			dst = append(dst, resp.Command{Key: key + end, Args: []any{"HVALS", key + end}})
		}
		dst = append(dst, resp.Command{Key: key, Args: []any{"HMGET", key, "info", "beat", "busy"}})
	}
	for _, l := range s.lists {
		dst = append(dst, resp.Command{Key: l.key, Args: []any{"LLEN", l.key}})
	}
	return dst
}

// Outcome implements layout.Step.
func (s *workStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	w := newProcessWork()
	w.unknown = len(s.processes) == maxProcesses || s.truncated
	w.denied = s.denied
	for _, process := range s.processes {
		w.take(c, process, s.name)
	}
	for _, l := range s.lists {
		if !c.Allowed() {
			w.denied = true
			continue
		}
		w.kept[l.identity] += c.Count()
	}
	if c.Err() != nil {
		return layout.Fail(c.Err())
	}
	return s.finish(s.reading, w, now)
}

// processWork is what processes reported of their work for one queue, and what private
// lists hold.
type processWork struct {
	// reported are the jobs that a process works on, kept those in private lists, by the
	// identity of the process.
	reported, kept map[string]int64
	// unknown says that there may be more.
	unknown bool
	// denied says that the server does not allow to read the private lists.
	denied bool
	// beats are when each process that serves the queue was last heard of, by its clock.
	beats map[string]time.Time
}

func newProcessWork() processWork {
	return processWork{reported: make(map[string]int64), kept: make(map[string]int64), beats: make(map[string]time.Time)}
}

// take takes the replies about one process.
func (w *processWork) take(c *resp.Decoder, process, queue string) {
	var all, own int64
	for range workKeys {
		for _, job := range c.Strings(-1) {
			all++
			of, known := layout.NamedQueue(job)
			if known && of == queue {
				own++
			}
			w.unknown = w.unknown || !known
		}
	}
	w.reported[process] = own
	about := c.Strings(3)
	info, beat, busy := about[0], about[1], about[2]
	if info == "" || !serves(info, queue) {
		return
	}
	w.beats[process] = layout.Seconds.Parse(c, beat)
	// A version that keeps its work elsewhere still reports how much it is.
	if n, err := strconv.ParseInt(busy, 10, 64); err == nil && n > all {
		w.unknown = true
	}
}

// inFlight returns how many jobs are taken and not done. A job that is in a private list
// is reported by its process as well, a heartbeat later, so of each process the larger
// number counts. The lists of a process that reports nothing are those of a killed one.
func (w processWork) inFlight() int64 {
	byHost := make(map[string]string, len(w.reported))
	for process := range w.reported {
		byHost[hostAndPID(process)] = process
	}
	kept := make(map[string]int64, len(w.kept))
	for identity, n := range w.kept {
		// A nonce of a reliable fetch is not that of Sidekiq, unless it is super_fetch.
		if _, reports := w.reported[identity]; !reports {
			if process, reports := byHost[hostAndPID(identity)]; reports {
				identity = process
			}
		}
		kept[identity] += n
	}
	var total int64
	for process, n := range w.reported {
		total += max(n, kept[process])
		delete(kept, process)
	}
	for _, n := range kept {
		total += n
	}
	return total
}

// serves reports whether a process takes jobs of a queue; one that does not say
// what it takes may.
func serves(info, queue string) bool {
	var process struct {
		Queues []string `json:"queues"`
	}
	err := json.Unmarshal([]byte(info), &process)
	return err != nil || len(process.Queues) == 0 || slices.Contains(process.Queues, queue)
}
