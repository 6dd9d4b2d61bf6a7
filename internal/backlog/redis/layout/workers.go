package layout

import (
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// MaxWorkers is how many workers, or jobs that workers have taken, are looked at to know which
// workers are busy. With as many that is not known. A reading of 1,000 processes takes 5 ms.
const MaxWorkers = 2000

// A WorkerReader reads which workers of a framework are busy, in two round trips: which workers
// there are, or which jobs they have taken, and what each of these says.
//
// A worker that begins a job between the two is found at the next reading. So is one that is
// started meanwhile.
type WorkerReader struct {
	// List returns the command that asks for the names of all, at most MaxWorkers of them.
	List func(now time.Time) resp.Command
	// Ask appends the commands that ask about one of them, and Take takes the replies.
	Ask  func(dst []resp.Command, name string) []resp.Command
	Take func(c *resp.Decoder, name string) Worker
	// Late is how much older than the newest heartbeat one is whose worker is busy, whatever it
	// said: it has not said lately what it does. Zero is for workers without heartbeats.
	Late time.Duration
	// Name says what gives a worker the name of its host.
	Name string
}

// A Worker is what is known of one worker.
type Worker struct {
	// Host is the name of its host; empty if that is not known.
	Host string
	// Busy reports whether it works on a job, and Gone that there is no such worker any more.
	Busy, Gone bool
	// Beat is its last heartbeat, by its own clock; zero if it has none.
	Beat time.Time
}

// Commands implements Reader.
func (r *WorkerReader) Commands(dst []resp.Command, now time.Time) []resp.Command {
	return append(dst, r.List(now))
}

// Read implements Reader.
func (r *WorkerReader) Read(trips *RoundTrips) (backlog.Reading, error) {
	c := trips.First()
	names := c.Strings(-1)
	if c.Err() != nil {
		return backlog.Reading{}, c.Err()
	}
	if len(names) >= MaxWorkers {
		return backlog.Reading{}, fmt.Errorf("%w: there are %d workers or jobs in flight and maybe more, so which workers are busy is not known; want less than that", backlog.ErrExhausted, len(names))
	}
	var commands []resp.Command
	for _, name := range names {
		commands = r.Ask(commands, name)
	}
	c = trips.Ask(commands...)
	workers := make([]Worker, 0, len(names))
	for _, name := range names {
		if w := r.Take(c, name); !w.Gone {
			workers = append(workers, w)
		}
	}
	if c.Err() != nil {
		return backlog.Reading{}, c.Err()
	}
	return WorkerReading(r.markLate(workers), r.Name)
}

// markLate makes those busy whose heartbeats are late.
func (r *WorkerReader) markLate(workers []Worker) []Worker {
	if r.Late == 0 {
		return workers
	}
	var newest time.Time
	for i := range workers {
		if beat := workers[i].Beat; beat.After(newest) {
			newest = beat
		}
	}
	for i := range workers {
		w := &workers[i]
		w.Busy = w.Busy || newest.Sub(w.Beat) > r.Late
	}
	return workers
}

// WorkerReading returns the reading of busy workers. A busy worker without the name of
// its host is an error, because it may be any of the others; name says what gives it one.
func WorkerReading(workers []Worker, name string) (backlog.Reading, error) {
	busy := make(map[string]bool, len(workers))
	for _, w := range workers {
		switch {
		case w.Host != "":
			busy[w.Host] = busy[w.Host] || w.Busy
		case w.Busy:
			return backlog.Reading{}, fmt.Errorf("%w: a worker is busy that has no name, so which one it is is not known: %s", backlog.ErrPartial, name)
		}
	}
	return backlog.Reading{Workers: busy}, nil
}

// HostOf returns the host of a worker whose identity begins with it, as HOST:PID does.
func HostOf(identity string) string {
	host, _, _ := strings.Cut(identity, ":")
	return host
}
