// Package screen shows the demo: as a live table on a terminal, and as lines
// elsewhere.
package screen

import (
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/terminal"
)

// A Snapshot is all that there is to see at one moment.
type Snapshot struct {
	// Elapsed is the time since the demo began.
	Elapsed time.Duration
	// Intro says what this is, Rows how the workloads are, Events what happened last,
	// oldest first, and Hints what one may try.
	Intro  []string
	Rows   []Row
	Events []Event
	Hints  []string
}

// A Row is one workload.
type Row struct {
	Workload, Queue string
	// Waiting and InFlight are numbers of messages, Oldest is an age, as the scaler
	// reports them.
	Waiting, InFlight Number
	Oldest            Age
	// Wanted is how many replicas are asked for, Running how many of them are ready.
	Wanted, Running int32
	Why             string
}

// Empty reports whether no work is left, by the scaler's metrics.
func (r Row) Empty() bool { return r.Waiting.Known && r.Waiting.N == 0 && r.InFlight.N == 0 }

// A Number may be unknown.
type Number struct {
	N     int64
	Known bool
}

func (n Number) String() string {
	if !n.Known {
		return unknown
	}
	return strconv.FormatInt(n.N, 10)
}

// An Age may be unknown.
type Age struct {
	Age   time.Duration
	Known bool
}

func (a Age) String() string {
	switch {
	case !a.Known:
		return unknown
	case a.Age == 0:
		return "0 s"
	case a.Age < 10*time.Second:
		return strconv.FormatFloat(a.Age.Seconds(), 'f', 1, 64) + " s"
	default:
		return strconv.FormatInt(int64(a.Age.Seconds()), 10) + " s"
	}
}

// unknown is shown for a value that the scaler does not report. It is not zero.
const unknown = "-"

// An Event happened After the demo began.
type Event struct {
	After   time.Duration
	Subject string
	Text    string
}

func (e Event) String() string {
	return seconds(e.After) + "  " + terminal.PadRight(e.Subject, subjectWidth) + "  " + e.Text
}

// subjectWidth is enough for the names of the workloads.
const subjectWidth = 9

func seconds(d time.Duration) string {
	text := strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	return terminal.PadLeft(text, len("1234.5s"))
}
