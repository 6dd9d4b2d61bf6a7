package bullmq

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// facts are what the first replies say of a queue.
type facts struct {
	reading backlog.Reading
	// wait and paused are how many jobs are on these lists.
	wait, paused int64
	// groups is how many groups of BullMQ Pro have jobs that wait.
	groups int64
	// ids are those of the jobs at the ends of the lists, and of the next prioritized
	// one; inOrder says that a worker takes the oldest first, except with lifo.
	ids     []string
	inOrder bool
	// concurrency is what meta says of it.
	concurrency string
	// isPaused is what meta says. isBullPaused is what Bull says, which writes nothing
	// else into meta.
	isPaused, isBullPaused bool
	// isBullMQ says that meta was written by BullMQ, and isOld that this was a version
	// that does not write itself into it. BullMQ 1 is one of these.
	isBullMQ, isOld bool
}

// markerPrefix is what an element of the list wait begins with that is no job: BullMQ 3
// and 4 leave it for workers that wait for a delayed job.
const markerPrefix = "0:"

// facts takes the replies.
func (q *queue) facts(c *resp.Decoder) facts {
	f := facts{inOrder: true}
	later := layout.ReadSchedule(c, jobClock)
	var pausedIDs []string
	f.wait, f.ids = takeList(c, q.withAge)
	f.paused, pausedIDs = takeList(c, q.withAge)
	prioritized := c.Count()
	if q.withAge {
		f.ids = append(append(f.ids, pausedIDs...), c.Strings(-1)...)
		f.inOrder = prioritized == 0
		f.inOrder = c.Count() == 0 && f.inOrder
	}
	for range groupStates {
		f.groups += c.Count()
	}
	active := c.Count()
	meta := c.Strings(4)
	f.isPaused, f.concurrency, f.isBullMQ = meta[0] != "", meta[1], meta[2]+meta[3] != ""
	f.isOld = f.isBullMQ && meta[3] == ""
	f.isBullPaused = c.Count() > 0 && !f.isBullMQ
	f.reading = backlog.Reading{
		Ready: f.wait + f.paused + prioritized, Due: later.Due, InFlight: backlog.Exactly(active), NextDue: later.Next,
	}
	f.reading.Oldest = later.Age(f.reading.Ready + f.groups)
	return f
}

// pause completes the reading with whether the queue is paused. While Bull's is, nothing
// is taken from the list paused, but what is on wait still is: a job that Bull 3.0 has
// delayed comes to it. Of a queue that is not paused, nothing is taken from the list
// paused either: resuming renames it, but BullMQ 6 resumes a queue that an older version
// has paused by 7000 jobs at once.
func (q *queue) pause(f *facts, nothing bool, now time.Time) {
	r := &f.reading
	r.Paused = f.isPaused || f.isBullPaused || nothing
	if f.isBullPaused && f.wait > 0 {
		r.Paused = false
		r.Ready -= f.paused
		return
	}
	since, orphaned := q.leftPaused.Beyond(layout.OrphanGrace, f.paused > 0 && !r.Paused, now)
	if !orphaned {
		return
	}
	o := layout.NewOrphans(q.params)
	r.Ready += o.Add(f.paused, since, now) - f.paused
	o.Mark(r, "the queue is not paused, but there are jobs on its list "+q.key("paused")+", which nothing takes until the queue is resumed once more")
}

// takeList takes the replies about a list of ids, and returns how many jobs
// it has and, if asked for, the ids at its ends, the next one last. BullMQ 3 and 4 leave a
// marker at that end of the list, for workers that wait for a delayed job: it is none.
func takeList(c *resp.Decoder, withEnds bool) (n int64, ends []string) {
	n = c.Count()
	next, _ := c.Text()
	if strings.HasPrefix(next, markerPrefix) {
		n = max(0, n-1)
	}
	if !withEnds {
		return n, nil
	}
	last, _ := c.Text()
	for _, id := range []string{last, next} {
		if id != "" && !strings.HasPrefix(id, markerPrefix) {
			ends = append(ends, id)
		}
	}
	return n, ends
}

// parseConcurrency parses the number of jobs that all workers together may work on,
// 0 if there is no limit. A limit below 1 hands out nothing, like a pause.
func parseConcurrency(text string) (limit int64, nothing bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsNaN(n):
		return 0, false, fmt.Errorf("%w: %q where the concurrency of a queue belongs", resp.ErrReply, text)
	case n <= 0:
		return 0, true, nil
	case n > math.MaxInt32:
		return 0, false, nil
	default:
		return int64(math.Ceil(n)), false, nil
	}
}
