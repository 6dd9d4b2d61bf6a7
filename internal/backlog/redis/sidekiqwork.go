package redis

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
	// sidekiqLife is for how long Sidekiq remembers a process that it does not hear of.
	sidekiqLife = time.Minute
	// sidekiqPause is between two heartbeats of a process, at least. It is 5 s before
	// Sidekiq 7, whose third heartbeat then stands for the second.
	// https://github.com/sidekiq/sidekiq/blob/main/lib/sidekiq/launcher.rb, BEAT_PAUSE
	sidekiqPause = 10 * time.Second
	// sidekiqTold is how much later a heartbeat has to be than another one to report all
	// that was taken before that one was seen. Sidekiq 4 to 8 first copy what their
	// threads work on, write that down, send a PING (since 6.2), and write down the
	// heartbeat with its time last. So the heartbeat that follows may know nothing of a
	// job that was taken while it was on its way. The second one does: it is begun a pause
	// after the first was written. They are told apart by the process's own clock: the
	// first is a pause later and as long as it took, the second two pauses.
	sidekiqTold = sidekiqPause + sidekiqPause/2
)

// finish completes a reading by what the processes reported.
func (s *sidekiqStep) finish(reading backlog.Reading, w sidekiqWork, now time.Time) layout.Outcome {
	inFlight := w.inFlight()
	s.noteLost(w, now)
	// A process that took jobs may not have reported so yet.
	if s.untold(w, now) || w.unknown || s.unsearched(reading, inFlight) {
		inFlight = max(inFlight, 1)
		if reading.Quality == backlog.Exact {
			reading.Quality = backlog.LowerBound
		}
	}
	reading.InFlight = backlog.Exactly(inFlight)
	reading.Consumers = backlog.Exactly(int64(len(w.beats)))
	if s.private != nil {
		s.private.doubt(&reading)
	}
	if w.denied {
		reading.Quality = max(reading.Quality, backlog.LowerBound)
		reading.AddWarning(sidekiqNoList)
	}
	if reading.Backlog() == 0 && reading.NextDue.IsZero() {
		return s.registry.Ask(reading)
	}
	return layout.Done(reading)
}

// noteLost notes that a process has disappeared that had jobs, or may have taken some.
func (s *sidekiqStep) noteLost(w sidekiqWork, now time.Time) {
	for _, process := range s.busy {
		if _, alive := w.beats[process]; !alive {
			s.lost = now
		}
	}
	for process := range s.heard {
		if _, alive := w.beats[process]; !alive && !s.taken.IsZero() {
			s.lost = now
			delete(s.heard, process)
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
func (s *sidekiqStep) unsearched(r backlog.Reading, inFlight int64) bool {
	return s.private != nil && r.Ready+r.Due+inFlight == 0 && s.private.stale(s.lost)
}

// untold tells whether a process may have taken a job of which it has not told. One
// that has just begun may do so before its first heartbeat, so that nobody knows it.
func (s *sidekiqStep) untold(w sidekiqWork, now time.Time) bool {
	switch {
	case s.taken.IsZero():
		return false
	case s.heard == nil:
		s.heard = w.beats
		return true
	}
	told := len(w.beats) > 0 || now.Sub(s.taken) >= sidekiqTold
	for process, beat := range w.beats {
		before, known := s.heard[process]
		if !known {
			// This is its first heartbeat.
			before = beat.Add(-sidekiqPause)
			s.heard[process] = before
		}
		told = told && beat.Sub(before) >= sidekiqTold
	}
	if told || now.Sub(s.taken) > sidekiqLife {
		if len(w.beats) == 0 {
			// One that took the jobs may have begun and ended in between.
			s.lost = now
		}
		s.taken = time.Time{}
		return false
	}
	return true
}

// sidekiqWorkKeys are the ends of the keys in which a process reports what it works on:
// that of Sidekiq 6.4.2 and later, and that of the versions before.
// https://github.com/sidekiq/sidekiq/blob/v6.4.1/lib/sidekiq/launcher.rb, workers_key
var sidekiqWorkKeys = [...]string{":work", ":workers"} //nolint:gochecknoglobals // a constant

// A sidekiqWorkStep asks the processes what they work on, and for the private lists.
type sidekiqWorkStep struct {
	*sidekiqStep
	reading   backlog.Reading
	processes []string
	lists     []privateList
	// denied says that the server does not allow to read which private lists there are.
	denied bool
	// truncated says that there are more processes with private lists.
	truncated bool
}

// addLists takes the reply about the processes with super_fetch, if they were asked for.
func (s *sidekiqWorkStep) addLists(c *resp.Decoder) {
	if s.private == nil {
		return
	}
	var processes []string
	if s.denied = !c.Allowed(); !s.denied {
		processes = c.Strings(-1)
	}
	s.truncated = len(processes) == sidekiqProcesses
	s.lists = s.private.with(processes)
}

func (s *sidekiqWorkStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, process := range s.processes {
		key := s.prefix + process
		for _, end := range sidekiqWorkKeys {
			dst = append(dst, resp.Command{Key: key + end, Args: []any{"HVALS", key + end}})
		}
		dst = append(dst, resp.Command{Key: key, Args: []any{"HMGET", key, "info", "beat", "busy"}})
	}
	for _, l := range s.lists {
		dst = append(dst, resp.Command{Key: l.key, Args: []any{"LLEN", l.key}})
	}
	return dst
}

func (s *sidekiqWorkStep) Outcome(replies []resp.Reply, now time.Time) layout.Outcome {
	c := resp.NewDecoder(replies)
	w := newSidekiqWork()
	w.unknown = len(s.processes) == sidekiqProcesses || s.truncated
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

// sidekiqWork is what processes reported of their work for one queue, and what private
// lists hold.
type sidekiqWork struct {
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

func newSidekiqWork() sidekiqWork {
	return sidekiqWork{reported: make(map[string]int64), kept: make(map[string]int64), beats: make(map[string]time.Time)}
}

// take takes the replies about one process.
func (w *sidekiqWork) take(c *resp.Decoder, process, queue string) {
	var all, own int64
	for range sidekiqWorkKeys {
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
	if info == "" || !sidekiqServes(info, queue) {
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
func (w sidekiqWork) inFlight() int64 {
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

// sidekiqServes tells whether a process takes jobs of a queue; one that does not say
// what it takes may.
func sidekiqServes(info, queue string) bool {
	var process struct {
		Queues []string `json:"queues"`
	}
	err := json.Unmarshal([]byte(info), &process)
	return err != nil || len(process.Queues) == 0 || slices.Contains(process.Queues, queue)
}
