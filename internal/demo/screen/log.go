package screen

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// A Log shows snapshots as lines: what happened, and once a second how the workloads
// are, if that has changed.
type Log struct {
	out io.Writer
	// began is set when the intro was written.
	began bool
	// written is when the status was written, and status what it was.
	written time.Duration
	status  string
}

// NewLog returns a Log that writes to out.
func NewLog(out io.Writer) *Log { return &Log{out: out} }

// statusInterval is how often the status is written at most.
const statusInterval = time.Second

// Show writes what is new. The events of a snapshot are those since the one before.
func (l *Log) Show(s Snapshot) {
	if !l.began {
		l.began = true
		for _, text := range slices.Concat(s.Intro, []string{""}, s.Hints, []string{""}) {
			l.print(text)
		}
	}
	for _, e := range s.Events {
		l.print(e.String())
	}
	status := s.status()
	if status != l.status && (l.written == 0 || s.Elapsed-l.written >= statusInterval) {
		l.written, l.status = s.Elapsed, status
		l.print(Event{After: s.Elapsed, Subject: "now", Text: status}.String())
	}
}

// Close has nothing to do.
func (l *Log) Close() {}

// print writes a line. An error is ignored: the output is the only place to report it.
func (l *Log) print(text string) { _, _ = fmt.Fprintln(l.out, text) }
