package sidekiq

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// workKeys are the ends of the keys in which a process reports what it works on:
// that of Sidekiq 6.4.2 and later, and that of the versions before.
// https://github.com/sidekiq/sidekiq/blob/v6.4.1/lib/sidekiq/launcher.rb, workers_key
var workKeys = [...]string{":work", ":workers"} //nolint:gochecknoglobals // a constant

// keptLists are the private lists of the queue that are read.
type keptLists struct {
	lists []privateList
	// denied says that the server does not allow to read which private lists there are.
	denied bool
	// truncated says that there are more processes with private lists.
	truncated bool
}

// takeKept takes the reply about the processes with super_fetch, if they were asked for.
func (q *queue) takeKept(c *resp.Decoder) keptLists {
	if q.private == nil {
		return keptLists{}
	}
	processes, allowed := c.OptionalStrings()
	return keptLists{lists: q.private.with(processes), denied: !allowed, truncated: len(processes) == maxProcesses}
}

// askWork asks the processes what they work on, and for the private lists.
func (q *queue) askWork(trips *layout.RoundTrips, processes []string, kept keptLists) (processWork, error) {
	c := trips.Ask(q.workCommands(processes, kept.lists)...)
	w := newProcessWork()
	w.unknown = len(processes) == maxProcesses || kept.truncated
	w.denied = kept.denied
	for _, process := range processes {
		w.take(c, process, q.name)
	}
	for _, l := range kept.lists {
		if !c.Allowed() {
			w.denied = true
			continue
		}
		w.kept[l.identity] += c.Count()
	}
	return w, c.Err()
}

// workCommands returns what askWork asks.
func (q *queue) workCommands(processes []string, lists []privateList) []resp.Command {
	all := make([]resp.Command, 0, (len(workKeys)+1)*len(processes)+len(lists))
	for _, process := range processes {
		key := q.prefix + process
		for _, end := range workKeys {
			all = append(all, resp.Command{Key: key + end, Args: []any{"HVALS", key + end}})
		}
		all = append(all, resp.Command{Key: key, Args: []any{"HMGET", key, "info", "beat", "busy"}})
	}
	for _, l := range lists {
		all = append(all, resp.Command{Key: l.key, Args: []any{"LLEN", l.key}})
	}
	return all
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
